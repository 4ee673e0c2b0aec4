#include "adascale/formats/bit_packing.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

void pack_row(const int32_t* codes, int64_t n, int bits, uint32_t* words) {
  uint64_t buffer = 0;
  int filled = 0;
  for (int64_t i = 0; i < n; ++i) {
    buffer |= static_cast<uint64_t>(static_cast<uint32_t>(codes[i])) << filled;
    filled += bits;
    if (filled < 32) continue;
    *words++ = static_cast<uint32_t>(buffer);
    buffer >>= 32;
    filled -= 32;
  }
  if (filled > 0) *words = static_cast<uint32_t>(buffer);
}

void unpack_row(const uint32_t* words, int64_t n, int bits, int32_t* codes) {
  uint64_t buffer = 0;
  int filled = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (filled < bits) {
      buffer |= static_cast<uint64_t>(*words++) << filled;
      filled += 32;
    }
    codes[i] = static_cast<int32_t>(buffer & ((1U << bits) - 1));
    buffer >>= bits;
    filled -= bits;
  }
}

}  // namespace

int64_t words_of(int64_t n, int bits) {
  return (n * bits + 31) / 32;
}

at::Tensor pack_bits(const at::Tensor& codes, int bits) {
  ADA_ASSERT(codes.is_cpu() && codes.dim() == 2 && bits >= 1 && bits <= 16,
             "codes to pack are no rows of 1 to 16 bits in the host's memory");
  const at::Tensor rows = codes.to(at::kInt).contiguous();
  const int64_t n = rows.size(1), width = words_of(n, bits);
  at::Tensor words = at::zeros({rows.size(0), width}, rows.options());
  const int32_t* from = rows.const_data_ptr<int32_t>();
  auto* to = reinterpret_cast<uint32_t*>(words.mutable_data_ptr<int32_t>());
  at::parallel_for(0, rows.size(0), 64, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) pack_row(from + row * n, n, bits, to + row * width);
  });
  return words;
}

at::Tensor unpack_bits(const at::Tensor& words, int bits, int64_t n) {
  ADA_ASSERT(words.is_cpu() && words.dim() == 2 && words.scalar_type() == at::kInt &&
                 words.size(1) == words_of(n, bits) && bits >= 1 && bits <= 16,
             "words to unpack are no rows of that many codes in the host's memory");
  const at::Tensor rows = words.contiguous();
  at::Tensor codes = at::empty({rows.size(0), n}, rows.options());
  const auto* from = reinterpret_cast<const uint32_t*>(rows.const_data_ptr<int32_t>());
  auto* to = codes.mutable_data_ptr<int32_t>();
  at::parallel_for(0, rows.size(0), 64, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) unpack_row(from + row * rows.size(1), n, bits, to + row * n);
  });
  return codes;
}

}  // namespace adascale
