#include "adascale/quant/grid.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "adascale/core/error.h"
#include "adascale/quant/forms/lpbq.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

Grid per_group(int64_t size, int64_t axis = 1) {
  return {.bits = 4, .channel_axis = 0, .group_axis = axis, .group_size = size};
}

std::string objection(const Grid& grid, std::vector<int64_t> sizes) {
  return error_of([&] { check_grid("encoder.query", grid, sizes); });
}

TEST(Grid, CodesSpanTheBits) {
  const Grid symmetric{.bits = 4, .symmetric = true}, asymmetric{.bits = 4, .symmetric = false};
  EXPECT_EQ(symmetric.qmin(), -8);
  EXPECT_EQ(symmetric.qmax(), 7);
  EXPECT_EQ(asymmetric.qmin(), 0);
  EXPECT_EQ(asymmetric.qmax(), 15);
  EXPECT_EQ(symmetric.steps(), 15);
}

TEST(Grid, ReadsAsText) {
  EXPECT_EQ(to_string(Grid{.bits = 4, .channel_axis = 0}), "int4 symmetric per channel");
  EXPECT_EQ(to_string(Grid{.bits = 8, .symmetric = false}), "int8 asymmetric per tensor");
  EXPECT_EQ(to_string(per_group(64)), "int4 symmetric per group of 64");
}

TEST(Grid, SplitsAndJoinsGroups) {
  const at::Tensor w = at::arange(2 * 6 * 3 * 2).view({2, 6, 3, 2});
  const at::Tensor split = split_groups(w, per_group(2));
  EXPECT_EQ(split.sizes(), at::IntArrayRef({2, 3, 2, 3, 2}));
  EXPECT_EQ(split.data_ptr(), w.data_ptr());
  EXPECT_EQ(scale_sizes(w.sizes(), per_group(2)), (std::vector<int64_t>{2, 3, 1, 1, 1}));
  EXPECT_TRUE(at::equal(join_groups(split, w.sizes(), per_group(2)), w));
}

TEST(Grid, GroupsMayRunBeforeTheChannelAxis) {
  Grid grid = per_group(2, 0);
  grid.channel_axis = 1;
  const at::Tensor w = at::arange(24).view({6, 4});
  EXPECT_EQ(scale_sizes(w.sizes(), grid), (std::vector<int64_t>{3, 1, 4}));
  EXPECT_EQ(shared_axes(grid, split_groups(w, grid)), (std::vector<int64_t>{1}));
}

TEST(Grid, ScaleShapes) {
  EXPECT_EQ(scale_sizes({5, 6}, Grid{}), (std::vector<int64_t>{}));
  EXPECT_EQ(scale_sizes({5, 6}, Grid{.channel_axis = 0}), (std::vector<int64_t>{5, 1}));
  EXPECT_EQ(scale_sizes({5, 6, 3, 3}, Grid{.channel_axis = 0}), (std::vector<int64_t>{5, 1, 1, 1}));
}

TEST(Grid, TheLastGroupMayBeShort) {
  const Grid grid = per_group(5);
  EXPECT_EQ(objection(grid, {3, 12}), "no error");
  EXPECT_EQ(scale_sizes({3, 12}, grid), (std::vector<int64_t>{3, 3, 1}));
  EXPECT_EQ(missing_in_last_group({3, 12}, grid), 3);
  const at::Tensor w = at::arange(36).view({3, 12}), split = split_groups(w, grid);
  EXPECT_EQ(split.sizes(), at::IntArrayRef({3, 3, 5}));
  EXPECT_TRUE(at::equal(split[1][2], at::tensor({22, 23, 0, 0, 0})));
  EXPECT_TRUE(at::equal(join_groups(split, w.sizes(), grid), w));
  EXPECT_EQ(scale_sizes({3, 4}, grid), (std::vector<int64_t>{3, 1, 1}));
}

TEST(Grid, OtherFormsNameTheGroupSizesThatDivide) {
  const auto lpbq = [](int64_t size) {
    Grid grid = per_group(size);
    grid.form = lpbq_form(), grid.block_scale_bits = 4;
    return grid;
  };
  EXPECT_EQ(
      objection(lpbq(100), {8, 384}),
      "encoder.query: in_features 384 is not a multiple of group_size 100; use 96, 128 or 0 (per channel)");
  EXPECT_EQ(objection(lpbq(4), {8, 6, 3, 3}),
            "encoder.query: in_channels 6 is not a multiple of group_size 4; use 3, 6 or 0 (per channel)");
  EXPECT_EQ(objection(lpbq(64), {8, 32}),
            "encoder.query: in_features 32 is not a multiple of group_size 64; use 32 or 0 (per channel)");
  EXPECT_EQ(objection(lpbq(3), {8, 7}),
            "encoder.query: in_features 7 is not a multiple of group_size 3; use 7 or 0 (per channel)");
}

TEST(Grid, OtherObjections) {
  EXPECT_EQ(objection({.bits = 1}, {8, 8}), "encoder.query: 1 bits; use 2 to 16, or 32 for off");
  EXPECT_EQ(objection({.bits = 17}, {8, 8}), "encoder.query: 17 bits; use 2 to 16, or 32 for off");
  EXPECT_EQ(objection({.group_size = -1}, {8, 8}),
            "encoder.query: group_size is -1; use a positive size or 0 (per channel)");
  EXPECT_EQ(objection({.group_axis = 1, .group_size = 4}, {8, 8}),
            "encoder.query: group_size 4 needs per-channel scales; use 0 or turn per-channel on");
  EXPECT_EQ(objection(per_group(4, 2), {8, 8}),
            "encoder.query: group axis 2 does not fit a weight of 2 axes with channel axis 0");
  EXPECT_EQ(objection({.channel_axis = 2}, {8, 8}),
            "encoder.query: channel axis 2 does not fit a weight of 2 axes");
  EXPECT_EQ(objection({}, {8, 0}), "encoder.query: the weight has no elements; exclude the layer");
  EXPECT_EQ(objection({.scale_dtype = c10::ScalarType::Int}, {8, 8}),
            "encoder.query: scales stored as Int; use float32, float16 or bfloat16");
  EXPECT_EQ(objection(per_group(4), {8, 8}), "no error");
}

TEST(Grid, ScalesAreOfTheStoredDtype) {
  const Range range{at::tensor({-1.0f, -0.3f}), at::tensor({0.7f, 2.0f})};
  for (const auto dtype : {c10::ScalarType::Half, c10::ScalarType::BFloat16, c10::ScalarType::Float}) {
    const at::Tensor scale = scale_of(range, Grid{.bits = 4, .symmetric = false, .scale_dtype = dtype});
    EXPECT_EQ(scale.scalar_type(), c10::ScalarType::Float);
    EXPECT_TRUE(at::equal(scale.to(dtype).to(c10::ScalarType::Float), scale));
  }
}

TEST(Grid, AnEmptyRangeIsFlooredAwayFromZero) {
  const at::Tensor zero = at::full({3, 1}, 0.0f);
  for (const bool symmetric : {true, false}) {
    for (const auto dtype : {c10::ScalarType::Half, c10::ScalarType::BFloat16, c10::ScalarType::Float}) {
      const Grid grid{.symmetric = symmetric, .channel_axis = 0, .scale_dtype = dtype};
      const Range range = range_around(zero, zero, grid);
      const at::Tensor scale = scale_of(range, grid);
      EXPECT_GT(scale.min().item<float>(), 0) << to_string(grid);
      EXPECT_LT(scale.max().item<float>(), 1e-6) << to_string(grid);
      EXPECT_TRUE(at::equal(offset_of(range, scale, grid), zero)) << to_string(grid);
    }
  }
}

TEST(Grid, ZeroStaysOnTheGridWhenAShortScaleIsRoundedDown) {
  // Ranges that end at zero: -min / scale is 255 before the rounding of the scale, up to 256 after it.
  const Grid grid{.bits = 8, .symmetric = false, .channel_axis = 0, .scale_dtype = c10::ScalarType::BFloat16};
  const at::Tensor min = at::arange(1, 400).to(c10::ScalarType::Float).view({-1, 1}).mul(-0.01);
  const Range range = range_around(min, min * 0, grid);
  const at::Tensor offset = offset_of(range, scale_of(range, grid), grid);
  EXPECT_EQ(offset.min().item<float>(), -255);
  EXPECT_LE(offset.max().item<float>(), 0);
}

TEST(Grid, ARangeBeyondTheDtypeIsRefused) {
  const Range range{at::tensor({-1e6f}), at::tensor({1e6f})};
  const Grid grid{.bits = 4, .scale_dtype = c10::ScalarType::Half};
  EXPECT_EQ(
      error_of([&] { scale_of(range, grid, "head"); }),
      "head: values are too large for int4 symmetric per tensor with scales stored as Half; "
      "use more bits, exclude the layer (layer_config: param_bw 32), or write a format of float32 scales");
}

}  // namespace
}  // namespace adascale
