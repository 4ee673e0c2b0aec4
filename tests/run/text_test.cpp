#include "adascale/run/text.h"

#include <gtest/gtest.h>

namespace adascale {
namespace {

TEST(Text, Bytes) {
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(90'868'000), "90.9 MB");
  EXPECT_EQ(format_bytes(999'999'999), "1.0 GB");
}

TEST(Text, Seconds) {
  EXPECT_EQ(format_seconds(0.04), "0.0 s");
  EXPECT_EQ(format_seconds(9.96), "10 s");
  EXPECT_EQ(format_seconds(119), "119 s");
  EXPECT_EQ(format_seconds(119.6), "2 min");
  EXPECT_EQ(format_seconds(12'000), "3 h 20 min");
  EXPECT_EQ(format_seconds(86'390), "24 h");
}

TEST(Text, ColumnsAlign) {
  EXPECT_EQ(format_table({{"a", "bb"}, {"ccc", "d"}}),
            "a    bb\n"
            "---  --\n"
            "ccc  d\n");
}

}  // namespace
}  // namespace adascale
