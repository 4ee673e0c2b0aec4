#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numeric>

#include "adascale/quant/encoding.h"
#include "adascale/quant/forms/form.h"
#include "adascale/tune/loss_curve.h"
#include "adascale/tune/value_counts.h"

namespace adascale::testing {
namespace {

LossCurve falling(int64_t count) {
  LossCurve curve;
  for (int64_t i = 1; i <= count; ++i) curve.push_back({i, static_cast<double>(i)});
  return curve;
}

TEST(LossCurve, AShortOneStaysAsItIs) {
  const LossCurve curve = thinned(falling(64));
  ASSERT_EQ(curve.size(), 64);
  EXPECT_EQ(curve[10].iteration, 11);
  EXPECT_EQ(curve[10].loss, 11);
  EXPECT_TRUE(thinned({}).empty());
}

TEST(LossCurve, ALongOneBecomesMeans) {
  const LossCurve curve = thinned(falling(131));  // three at a time
  ASSERT_EQ(curve.size(), 44);
  EXPECT_EQ(curve[0].iteration, 3);
  EXPECT_EQ(curve[0].loss, 2);
  EXPECT_EQ(curve.back().iteration, 131);
  EXPECT_EQ(curve.back().loss, 130.5);
}

TEST(ValueCounts, CountsEachValueOnce) {
  const ValueCounts histogram = histogram_of(at::tensor({-1.0, -1.0, 0.0, 1.0}));
  EXPECT_EQ(histogram.low, -1);
  EXPECT_EQ(histogram.high, 1);
  ASSERT_EQ(histogram.counts.size(), 64);
  EXPECT_EQ(histogram.counts.front(), 2);
  EXPECT_EQ(histogram.counts[32], 1);
  EXPECT_EQ(histogram.counts.back(), 1);
}

TEST(ValueCounts, OfOneValue) {
  const ValueCounts histogram = histogram_of(at::zeros({3, 5}));
  EXPECT_EQ(histogram.counts.front(), 15);
  EXPECT_EQ(std::accumulate(histogram.counts.begin(), histogram.counts.end(), int64_t{0}), 15);
}

TEST(CodeCounts, HasAPlaceForEachCodeOfTheGrid) {
  Encoding encoding{.grid = {.bits = 2, .symmetric = true}, .codes = at::tensor({-2, -2, 1}).to(at::kChar)};
  const CodeCounts counts = counts_of(encoding);
  EXPECT_EQ(counts.first, -2);
  EXPECT_EQ(counts.counts, (std::vector<int64_t>{2, 0, 0, 1}));
  encoding.grid.symmetric = false;
  encoding.codes = at::tensor({0, 3, 3}).to(at::kByte);
  EXPECT_EQ(counts_of(encoding).first, 0);
  EXPECT_EQ(counts_of(encoding).counts, (std::vector<int64_t>{1, 0, 0, 2}));
}

}  // namespace
}  // namespace adascale::testing
