#include "cli/weight_size.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace adascale
