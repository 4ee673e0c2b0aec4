#include "adascale/formats/bit_packing.h"

#include <ATen/Parallel.h>
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

}  // namespace

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

}  // namespace adascale
