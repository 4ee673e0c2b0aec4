#include "adascale/formats/bit_packing.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

int64_t words_of(int64_t n, int bits) {
  return (n * bits + 31) / 32;
}

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

void unpack_row(const uint32_t* words, int64_t n, int bits, int64_t* codes) {
  uint64_t buffer = 0;
  int filled = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (filled < bits) {
      buffer |= static_cast<uint64_t>(*words++) << filled;
      filled += 32;
    }
    codes[i] = static_cast<int64_t>(buffer & ((uint64_t{1} << bits) - 1));
    buffer >>= bits;
    filled -= bits;
  }
}

template <class Work>
void for_rows(int64_t rows, const Work& work) {
  at::parallel_for(0, rows, 64, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) work(row);
  });
}

}  // namespace

at::Tensor pack_bits(const at::Tensor& codes, int bits) {
  ADA_ASSERT(codes.dim() == 2 && bits >= 1 && bits <= 16, "codes to pack are no rows of 1 to 16 bits");
  const at::Tensor rows = codes.to(at::kInt).contiguous();
  const int64_t n = rows.size(1), width = words_of(n, bits);
  at::Tensor words = at::zeros({rows.size(0), width}, rows.options());
  const int32_t* from = rows.const_data_ptr<int32_t>();
  auto* to = reinterpret_cast<uint32_t*>(words.mutable_data_ptr<int32_t>());
  for_rows(rows.size(0), [&](int64_t row) { pack_row(from + row * n, n, bits, to + row * width); });
  return words;
}

at::Tensor unpack_bits(const at::Tensor& words, int bits, int64_t n) {
  ADA_ASSERT(words.dim() == 2 && words.scalar_type() == at::kInt, "packed codes are no rows of int32");
  ADA_CHECK(words.size(1) >= words_of(n, bits),
            "packed codes: got {} words a row, expected {} for {} of {} bits", words.size(1),
            words_of(n, bits), n, bits);
  const at::Tensor rows = words.contiguous();
  at::Tensor codes = at::empty({rows.size(0), n}, rows.options().dtype(at::kLong));
  const auto* from = reinterpret_cast<const uint32_t*>(rows.const_data_ptr<int32_t>());
  int64_t* to = codes.mutable_data_ptr<int64_t>();
  for_rows(rows.size(0), [&](int64_t row) { unpack_row(from + row * rows.size(1), n, bits, to + row * n); });
  return codes;
}

}  // namespace adascale
