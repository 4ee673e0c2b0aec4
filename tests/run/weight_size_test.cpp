#include "adascale/run/weight_size.h"

#include <gtest/gtest.h>

#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

struct PackedCase {
  Grid grid;
  int64_t bytes;
};

TEST(WeightSize, CodesScalesAndOffsets) {
  const std::vector<PackedCase> cases = {
      {{.bits = 4}, 10 * 64 / 2 + 4},
      {{.bits = 4, .channel_axis = 0}, 10 * 64 / 2 + 10 * 4},
      {{.bits = 3, .channel_axis = 0}, 240 + 10 * 4},
      {{.bits = 4, .symmetric = false, .channel_axis = 0}, 320 + 10 * 4 + 5},
      {{.bits = 4,
        .channel_axis = 0,
        .group_axis = 1,
        .group_size = 32,
        .scale_dtype = c10::ScalarType::Half},
       320 + 20 * 2},
  };
  for (const PackedCase& row : cases)
    EXPECT_EQ(packed_bytes({10, 64}, row.grid), row.bytes) << to_string(row.grid);
}

// ggml's own block sizes: Q4_1 20 bytes of 32 weights, K-quants of 256.
TEST(WeightSize, MinimaAndSuperblocks) {
  const auto bytes = [](int bits, bool symmetric, int64_t group, int scale_bits) {
    const Grid grid{.bits = bits,
                    .symmetric = symmetric,
                    .channel_axis = 0,
                    .group_axis = 1,
                    .group_size = group,
                    .scale_dtype = c10::ScalarType::Half,
                    .form = scale_bits > 0 ? superblock_form()
                            : symmetric    ? plain_form()
                                           : minimum_form(),
                    .block_scale_bits = scale_bits,
                    .superblock_size = scale_bits > 0 ? 256 : 0};
    return packed_bytes({3, 512}, grid);
  };
  EXPECT_EQ(bytes(4, false, 32, 0), 3 * 16 * 20);
  EXPECT_EQ(bytes(2, false, 16, 4), 6 * 84);
  EXPECT_EQ(bytes(3, true, 16, 6), 6 * 110);
  EXPECT_EQ(bytes(4, false, 32, 6), 6 * 144);
  EXPECT_EQ(bytes(5, false, 32, 6), 6 * 176);
  EXPECT_EQ(bytes(6, true, 16, 8), 6 * 210);
}

}  // namespace
}  // namespace adascale
