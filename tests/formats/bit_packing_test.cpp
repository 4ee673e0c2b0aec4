#include "adascale/formats/bit_packing.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace adascale {
namespace {

/// One bit at a time, so that it shares no code with the packing.
at::Tensor bit_by_bit(const at::Tensor& words, int bits, int64_t n) {
  at::Tensor codes = at::zeros({words.size(0), n}, at::kLong);
  const auto word = words.accessor<int32_t, 2>();
  auto code = codes.accessor<int64_t, 2>();
  for (int64_t row = 0; row < codes.size(0); ++row)
    for (int64_t bit = 0; bit < n * bits; ++bit) {
      const int64_t set = static_cast<uint32_t>(word[row][bit / 32]) >> (bit % 32) & 1;
      code[row][bit / bits] |= set << (bit % bits);
    }
  return codes;
}

TEST(BitPacking, RowsComeBackWhateverTheirBitsAndLength) {
  for (int bits = 2; bits <= 8; ++bits)
    for (const int64_t n : {1, 7, 10, 11, 31, 32, 33, 96, 130}) {
      const at::Tensor codes = at::randint(int64_t{1} << bits, {5, n}, at::kLong);
      const at::Tensor words = pack_bits(codes, bits);
      EXPECT_EQ(words.sizes(), (std::vector<int64_t>{5, (n * bits + 31) / 32}));
      EXPECT_TRUE(at::equal(bit_by_bit(words, bits, n), codes)) << bits << " bits, " << n;
      EXPECT_TRUE(at::equal(unpack_bits(words, bits, n).to(at::kLong), codes)) << bits << " bits, " << n;
    }
}

TEST(BitPacking, LowBitsComeFirstAndCodesCrossWords) {
  // 0x7 in bits 30..32: two bits in the first word, one in the second.
  const at::Tensor codes = at::tensor({1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 7, 5}, at::kLong).unsqueeze(0);
  const at::Tensor words = pack_bits(codes, 3);
  EXPECT_EQ(static_cast<uint32_t>(words[0][0].item<int32_t>()), 1u | 2u << 3 | 3u << 30);
  EXPECT_EQ(static_cast<uint32_t>(words[0][1].item<int32_t>()), 1u | 5u << 1);
}

}  // namespace
}  // namespace adascale
