#include "adascale/quant/range_analyzer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/quantile.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/histogram.h"
#include "adascale/quant/schemes.h"
#include "adascale/quant/search.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

constexpr auto kDouble = c10::ScalarType::Double;

Range analyze(const std::string& scheme, const std::vector<at::Tensor>& batches, const Grid& grid) {
  const auto analyzer = range_scheme(scheme).make_analyzer();
  for (const at::Tensor& batch : batches) analyzer->observe(batch);
  return analyzer->range(grid);
}

// Squared error per Q element of quantizing `w` with that range.
at::Tensor squared_error(const at::Tensor& w, const Range& range, const Grid& grid) {
  const at::Tensor values = split_groups(w.to(c10::ScalarType::Float), grid), scale = scale_of(range, grid);
  const at::Tensor error = fake_quantize(values, scale, offset_of(range, scale, grid), grid) - values;
  return error.square().sum(shared_axes(grid, values), grid.per_channel());
}

at::Tensor with_outliers(int64_t n) {
  const at::Tensor x = random_weight({n}).mul_(10);
  x[0] = 30;
  x[1] = -12;
  return x;
}

class Scheme : public ::testing::TestWithParam<std::string> {};

TEST_P(Scheme, KeepsZeroInsideAndSymmetricRangesOnTheGrid) {
  const at::Tensor x = with_outliers(5000);
  for (const int bits : {4, 8, 16}) {
    for (const bool symmetric : {true, false}) {
      const Grid grid{.bits = bits, .symmetric = symmetric};
      for (const Range& range :
           {analyze(GetParam(), {x}, grid), range_scheme(GetParam()).weight_range(x, grid)}) {
        EXPECT_EQ(range.min.dim(), 0);
        EXPECT_EQ(range.min.scalar_type(), c10::ScalarType::Float);
        const double min = range.min.item<double>(), max = range.max.item<double>();
        EXPECT_LT(min, 0);
        EXPECT_GT(max, 0);
        if (!symmetric) continue;
        EXPECT_NEAR(min / grid.qmin(), max / grid.qmax(), 1e-6 * max / grid.qmax());
      }
    }
  }
}

TEST_P(Scheme, WeightRangesAreOfShapeQ) {
  for (const QuantCase& c : quant_cases()) {
    const at::Tensor w = c.weight();
    const Range range = range_scheme(GetParam()).weight_range(w, c.grid());
    EXPECT_EQ(range.min.sizes(), scale_sizes(w.sizes(), c.grid())) << c.name();
    EXPECT_EQ(range.max.sizes(), range.min.sizes()) << c.name();
    EXPECT_TRUE((range.min * range.max <= 0).all().item<bool>()) << c.name();
    if (!c.signed_scale) {
      EXPECT_LE(range.min.max().item<double>(), 0) << c.name();
    }
  }
}

TEST_P(Scheme, OneSignedValuesKeepZero) {
  const at::Tensor x = random_weight({500}).abs_().add_(1);
  const Grid grid{.bits = 8, .symmetric = false};
  EXPECT_EQ(analyze(GetParam(), {x}, grid).min.item<float>(), 0);
  EXPECT_EQ(analyze(GetParam(), {x.neg()}, grid).max.item<float>(), 0);
}

TEST_P(Scheme, ZerosAloneGiveAUsableRange) {
  for (const bool symmetric : {true, false}) {
    const Grid grid{.bits = 8, .symmetric = symmetric};
    for (const Range& range : {analyze(GetParam(), {at::zeros({64})}, grid),
                               range_scheme(GetParam()).weight_range(at::zeros({64}), grid)})
      EXPECT_GT(scale_of(range, grid).item<double>(), 0);
  }
}

TEST_P(Scheme, ManyBatchesAreOne) {
  const at::Tensor x = with_outliers(6000);
  const Grid grid{.bits = 8, .symmetric = false};
  // The small values first, so that the range grows.
  const at::Tensor sorted = std::get<0>(x.abs().sort()) * x.sign();
  const Range whole = analyze(GetParam(), {sorted}, grid),
              parts = analyze(GetParam(), sorted.split(500), grid);
  EXPECT_NEAR(parts.min.item<double>(), whole.min.item<double>(), 0.02);
  EXPECT_NEAR(parts.max.item<double>(), whole.max.item<double>(), 0.02);
}

TEST_P(Scheme, ValuesNearTheEndOfFp32AreCounted) {
  const at::Tensor x = at::cat({random_weight({100}), at::tensor({-3.4028234e38f})});
  const Range range = analyze(GetParam(), {x}, Grid{.bits = 16, .symmetric = false});
  EXPECT_TRUE(std::isfinite(range.min.item<double>()));
}

TEST_P(Scheme, NanAndInfinityAreRefused) {
  const auto analyzer = range_scheme(GetParam()).make_analyzer();
  const at::Tensor x = random_weight({10});
  analyzer->observe(x);
  x[3] = std::nan("");
  EXPECT_EQ(error_of([&] { analyzer->observe(x); }),
            "activation: 1 of 10 values are NaN or infinite; mend the model or the data");
  x[4] = INFINITY;
  EXPECT_EQ(error_of([&] { range_scheme(GetParam()).weight_range(x, Grid{}); }),
            "weight: 2 of 10 values are NaN or infinite; mend the model or the data");
}

TEST_P(Scheme, NothingSeenIsRefused) {
  const auto analyzer = range_scheme(GetParam()).make_analyzer();
  analyzer->observe(at::zeros({0, 4}));
  EXPECT_EQ(error_of([&] { analyzer->range(Grid{}); }),
            "activation: no values were seen; run the model on at least one sample first");
}

std::vector<std::string> scheme_names() {
  std::vector<std::string> names;
  for (const RangeScheme& scheme : range_schemes()) names.push_back(scheme.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Scheme, ::testing::ValuesIn(scheme_names()),
                         [](const auto& each) { return each.param; });

TEST(RangeScheme, AnUnknownNameListsTheKnown) {
  EXPECT_EQ(error_of([] { range_scheme("tf"); }),
            "quant_scheme: \"tf\" is unknown; use one of post_training_tf, post_training_tf_enhanced, "
            "post_training_percentile, training_range_learning_with_tf_init, "
            "training_range_learning_with_tf_enhanced_init");
}

TEST(MinMax, IsTheFormula) {
  const at::Tensor w = at::tensor({-1.0f, 0.5f, 2.0f, -16.0f, 3.0f, 4.0f}).view({2, 3});
  const Range symmetric = min_max_range(w, Grid{.bits = 4, .channel_axis = 0});
  EXPECT_FLOAT_EQ(symmetric.max[0][0].item<float>(), 2);  // delta 2/7
  EXPECT_FLOAT_EQ(symmetric.min[0][0].item<float>(), -16.0 / 7);
  EXPECT_FLOAT_EQ(symmetric.min[1][0].item<float>(), -16);  // delta 16/8
  EXPECT_FLOAT_EQ(symmetric.max[1][0].item<float>(), 14);
  const Range asymmetric = min_max_range(w, Grid{.bits = 4, .symmetric = false});
  EXPECT_EQ(asymmetric.min.item<float>(), -16);
  EXPECT_EQ(asymmetric.max.item<float>(), 4);
}

TEST(SignedScale, GivesTheLargerEndTheExtraCode) {
  const at::Tensor w = at::tensor({-1.0f, 0.5f, 2.0f, -16.0f, 3.0f, 4.0f}).view({2, 3});
  const Grid grid{.bits = 4, .signed_scale = true, .channel_axis = 0};
  const Range range = min_max_range(w, grid);
  EXPECT_FLOAT_EQ(range.min[0][0].item<float>(), 2);  // delta -2/8
  EXPECT_FLOAT_EQ(range.max[0][0].item<float>(), -1.75);
  EXPECT_FLOAT_EQ(range.min[1][0].item<float>(), -16);  // delta 16/8
  EXPECT_EQ(to_string(grid), "int4 symmetric, signed scales, per channel");
}

TEST(SignedScale, AWeightAndItsMirrorImageAreQuantizedAlike) {
  const at::Tensor w = random_weight({10, 24}), mirrored = -w;
  for (const int bits : {2, 3, 4}) {
    const Grid grid{.bits = bits, .signed_scale = true, .channel_axis = 0};
    const at::Tensor one = squared_error(w, weighted_sqnr_range(w, grid, at::ones({})), grid),
                     other = squared_error(mirrored, weighted_sqnr_range(mirrored, grid, at::ones({})), grid);
    EXPECT_TRUE(one.allclose(other, 1e-5)) << bits;
    const Grid positive{.bits = bits, .channel_axis = 0};
    const at::Tensor plain = squared_error(w, weighted_sqnr_range(w, positive, at::ones({})), positive);
    EXPECT_LT(one.sum().item<double>(), (bits == 2 ? 0.9 : 0.99) * plain.sum().item<double>()) << bits;
  }
}

TEST(Sqnr, IsNeverWorseThanMinMaxOnWeights) {
  for (const QuantCase& c : quant_cases()) {
    const at::Tensor w = c.weight();
    at::Tensor searched =
        squared_error(w, range_scheme("post_training_tf_enhanced").weight_range(w, c.grid()), c.grid());
    at::Tensor plain = squared_error(w, min_max_range(w, c.grid()), c.grid());
    // Groups with one channel scale compensate each other.
    if (c.sharing == Sharing::kLpbq) searched = searched.sum(1), plain = plain.sum(1);
    EXPECT_TRUE((searched <= plain).all().item<bool>()) << c.name();
    if (c.bits > 3) continue;
    EXPECT_LT(searched.sum().item<double>(), 0.95 * plain.sum().item<double>()) << c.name();
  }
}

TEST(Sqnr, IsNeverWorseThanMinMaxOnActivations) {
  const at::Tensor normal = random_weight({20000});
  for (const at::Tensor& x :
       {normal, with_outliers(20000), normal.relu(), normal.exp(), normal.pow(3), normal.sigmoid()}) {
    for (const int bits : {4, 8, 16}) {
      for (const bool symmetric : {true, false}) {
        const Grid grid{.bits = bits, .symmetric = symmetric};
        const double searched =
            squared_error(x, analyze("post_training_tf_enhanced", {x}, grid), grid).item<double>();
        const double plain = squared_error(x, analyze("post_training_tf", {x}, grid), grid).item<double>();
        EXPECT_LE(searched, plain) << to_string(grid);
      }
    }
  }
}

/// The least squared error of the scheme's candidates, shares of the full range.
double least_error(const at::Tensor& x, const Grid& grid) {
  const auto error = [&](const Range& range) { return squared_error(x, range, grid); };
  return error(search_range(analyze("post_training_tf", {x}, grid), grid, error)).item<double>();
}

TEST(Sqnr, OfActivationsIsNearlyTheLeastError) {
  const at::Tensor normal = random_weight({20000});
  for (const at::Tensor& x :
       {normal, with_outliers(20000), normal.exp(), normal.pow(3), at::gelu(normal), normal.sigmoid()})
    for (const int bits : {4, 8})
      for (const bool symmetric : {true, false}) {
        const Grid grid{.bits = bits, .symmetric = symmetric};
        const double found =
            squared_error(x, analyze("post_training_tf_enhanced", {x}, grid), grid).item<double>();
        EXPECT_LE(found, 1.02 * least_error(x, grid)) << to_string(grid);
      }
}

TEST(Sqnr, CutsOutliersAtFewBits) {
  const Grid grid{.bits = 4, .symmetric = false};
  const at::Tensor x = with_outliers(20000);
  const double searched =
      squared_error(x, analyze("post_training_tf_enhanced", {x}, grid), grid).item<double>();
  EXPECT_LT(searched, 0.5 * squared_error(x, analyze("post_training_tf", {x}, grid), grid).item<double>());
}

void add_to(Histogram& histogram, const at::Tensor& x) {
  histogram.add(x, x.min().item<double>(), x.max().item<double>());
}

TEST(Histogram, CountsEachValueInItsBin) {
  const at::Tensor values = at::tensor({1.0, -1.0, 0.0, 3.0, 2.0, 1.5, -0.75, 1e-4, 1.9375}, kDouble);
  for (const auto dtype : {at::kFloat, kDouble, at::kBFloat16, at::kHalf}) {
    const at::Tensor x = values.to(dtype).repeat({4}).view({6, 6}).t();
    Histogram histogram;
    for (const at::Tensor& row : x.unbind(0)) add_to(histogram, row);
    const at::Tensor edges = histogram.edges(), counts = histogram.counts(), wide = x.to(kDouble);
    EXPECT_EQ(counts.sum().item<double>(), 36);
    EXPECT_EQ(edges.numel(), counts.numel() + 1);
    for (int64_t bin = 0; bin < counts.numel(); ++bin) {
      const double low = edges[bin].item<double>(), high = edges[bin + 1].item<double>();
      if (counts[bin].item<double>() == 0 || low == 0) continue;
      // A bin has its end that is nearer to zero, and zero itself is above.
      const at::Tensor inside =
          low > 0 ? wide.ge(low).logical_and_(wide.lt(high)) : wide.gt(low).logical_and_(wide.le(high));
      EXPECT_EQ(counts[bin].item<double>(), inside.sum().item<double>()) << low;
    }
  }
}

TEST(Histogram, CountsValuesBeyondFp32) {
  Histogram histogram;
  add_to(histogram, at::tensor({1e60, 5e59, 3e58, -1e60}, kDouble));
  EXPECT_EQ(histogram.counts().gt(0).sum().item<int64_t>(), 4);
}

TEST(Histogram, LosesNoneWhenAMuchLargerValueComes) {
  Histogram histogram;
  add_to(histogram, random_weight({1000}));
  add_to(histogram, at::tensor({1e30f}));
  EXPECT_EQ(histogram.counts().sum().item<double>(), 1001);
  EXPECT_EQ(histogram.counts().gt(0).sum().item<int64_t>(), 3)
      << "nearly zero on either side, and the last one";
}

TEST(Percentile, OfWeightsIsExact) {
  const at::Tensor w = random_weight({5, 300});
  const Range range =
      range_scheme("post_training_percentile").weight_range(w, Grid{.symmetric = false, .channel_axis = 0});
  const at::Tensor rows = w.to(kDouble);
  EXPECT_LT((range.max - at::quantile(rows, 0.9999, 1, true)).abs().max().item<double>(), 1e-6);
  EXPECT_LT((range.min - at::quantile(rows, 0.0001, 1, true)).abs().max().item<double>(), 1e-6);
}

TEST(Percentile, OfASingleValueIsTheValue) {
  const at::Tensor w = at::tensor({-0.25f, 3.0f}).view({2, 1});
  const Range range =
      range_scheme("post_training_percentile").weight_range(w, Grid{.symmetric = false, .channel_axis = 0});
  EXPECT_EQ(range.min[0][0].item<float>(), -0.25f);
  EXPECT_EQ(range.max[1][0].item<float>(), 3.0f);
}

void expect_within_a_bin(const Range& range, const at::Tensor& x) {
  const double low = at::quantile(x, 0.0001).item<double>(), high = at::quantile(x, 0.9999).item<double>();
  EXPECT_NEAR(range.min.item<double>(), low, std::abs(low) / 256);
  EXPECT_NEAR(range.max.item<double>(), high, std::abs(high) / 256);
}

TEST(Percentile, OfActivationsIsWithinABin) {
  const at::Tensor x = at::cat({random_weight({200000}), at::tensor({9.0f, -7.0f})});
  const Range range = analyze("post_training_percentile", {x}, Grid{.bits = 16, .symmetric = false});
  expect_within_a_bin(range, x);
}

TEST(Percentile, AFewHugeActivationsDoNotBlurTheOthers) {
  const at::Tensor x = at::cat({random_weight({200000}), at::tensor({1e6f, 3e5f, -7e5f})});
  const Grid grid{.bits = 16, .symmetric = false};
  expect_within_a_bin(analyze("post_training_percentile", {x}, grid), x);
  expect_within_a_bin(analyze("post_training_percentile", {x.slice(0, 0, 200000), x.slice(0, 200000)}, grid),
                      x);
}

TEST(SqnrRange, OfWeightsIsLeastByTheImportanceGiven) {
  const Grid grid{.bits = 3, .channel_axis = 0, .group_axis = 1, .group_size = 8};
  const at::Tensor w = random_weight({4, 16});
  at::Tensor importance = at::ones({1, 16});
  importance[0].slice(0, 3, 5).fill_(100);
  const auto error = [&](const Range& range) {
    const at::Tensor split = split_groups(w, grid), scale = scale_of(range, grid);
    const at::Tensor off = fake_quantize(split, scale, at::Tensor(), grid) - split;
    return (off.square() * split_groups(importance.expand_as(w), grid)).sum(-1, true);
  };
  const at::Tensor plain = error(sqnr_range(w, grid)),
                   weighted = error(weighted_sqnr_range(w, grid, importance));
  EXPECT_TRUE(weighted.le(plain + 1e-9).all().item<bool>());
  EXPECT_LT(weighted.sum().item<double>(), plain.sum().item<double>());
  const Range alike = weighted_sqnr_range(w, grid, at::full({}, 7.0f)), none = sqnr_range(w, grid);
  EXPECT_TRUE(alike.max.equal(none.max)) << "one importance for all is none";
}

// In double the search uses tensor operators.
TEST(WeightedSqnr, KernelsFindWhatTensorOperatorsFind) {
  for (const QuantCase& c : quant_cases()) {
    if (c.dtype != c10::ScalarType::Float || c.scale_dtype != c10::ScalarType::Float) continue;
    SCOPED_TRACE(c.name());
    const at::Tensor w = c.weight();
    const at::Tensor importance = at::rand_like(c.is_conv ? w : w.narrow(0, 0, 1)).add_(0.1);
    const Range fast = weighted_sqnr_range(w, c.grid(), importance),
                exact = weighted_sqnr_range(w.to(kDouble), c.grid(), importance.to(kDouble));
    // Two candidates may have the same error up to rounding.
    const auto agreeing = [](const at::Tensor& a, const at::Tensor& b) {
      return a.to(kDouble).isclose(b, 1e-5).to(kDouble).mean().item<double>();
    };
    EXPECT_GE(agreeing(fast.min, exact.min), 0.95);
    EXPECT_GE(agreeing(fast.max, exact.max), 0.95);
  }
}

// In double there are no kernels, so rows alone make no difference there: floats show that both go by rows.
TEST(WeightedSqnr, OfStacksAndTransposedWeightsIsThatOfTheirRows) {
  const at::Tensor stack = random_weight({3, 1024, 2048});  // [experts, in, out], more than a slice
  const at::Tensor importance = at::rand({1, 1024, 1}).add_(0.1), rows = stack.transpose(1, 2).contiguous();
  const Grid of_stack{.bits = 3,
                      .symmetric = false,
                      .channel_axis = 2,
                      .group_axis = 1,
                      .group_size = 256,
                      .stack_axes = {0}};
  const Grid of_rows{.bits = 3, .symmetric = false, .channel_axis = 0, .group_axis = 1, .group_size = 256};
  const Range found = weighted_sqnr_range(stack, of_stack, importance);
  ASSERT_EQ(found.min.sizes(), at::IntArrayRef(scale_sizes(stack.sizes(), of_stack)));
  for (int64_t i = 0; i < 3; ++i) {
    const Range alone = weighted_sqnr_range(rows[i], of_rows, importance[0].t());
    EXPECT_TRUE(found.min[i].squeeze(1).t().equal(alone.min.squeeze(2)));
    EXPECT_TRUE(found.max[i].squeeze(1).t().equal(alone.max.squeeze(2)));
  }
}

TEST(WeightedSqnr, HeedsAnImportancePerExpert) {
  const at::Tensor stack = random_weight({4, 8, 32}).transpose(1, 2),
                   importance = at::rand({4, 1, 32}).add_(0.1);
  const Grid of_stack{.bits = 3, .channel_axis = 2, .stack_axes = {0}}, of_rows{.bits = 3, .channel_axis = 0};
  const Range found = weighted_sqnr_range(stack, of_stack, importance.transpose(1, 2));
  for (int64_t i = 0; i < 4; ++i) {
    const Range alone = weighted_sqnr_range(stack[i].t().contiguous(), of_rows, importance[i]);
    EXPECT_TRUE(found.max[i].t().equal(alone.max));
  }
}

}  // namespace
}  // namespace adascale
