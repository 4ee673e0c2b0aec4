#include "adascale/quant/forms/superblocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/all.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/quant/schemes.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

// The grids of GGUF's types beyond plain groups.
std::vector<Grid> grids() {
  const auto grid = [](int bits, bool symmetric, int64_t group, int scale_bits) {
    return Grid{.bits = bits,
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
  };
  return {grid(4, false, 32, 0), grid(5, false, 32, 0), grid(2, false, 16, 4), grid(4, false, 32, 6),
          grid(5, false, 32, 6), grid(3, true, 16, 6),  grid(6, true, 16, 8)};
}

std::vector<at::Tensor> weights() {
  at::Tensor mixed = random_weight({6, 512});
  mixed[0].zero_();
  mixed[1].abs_();
  mixed[2].abs_().neg_();
  mixed[3].slice(0, 0, 32).zero_();
  mixed[4].slice(0, 32, 64).mul_(1000);
  return {mixed, random_weight({6, 512}, c10::ScalarType::BFloat16), random_weight({3, 256}, kDouble)};
}

void move_learnables(const AdaScaleQuantizer& quantizer, double by) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& p : quantizer.learnables()) p.add_(at::randn_like(p), by);
}

bool is_integer_within(const at::Tensor& x, int64_t least, int64_t most) {
  return x.min().item<int64_t>() >= least && x.max().item<int64_t>() <= most;
}

void expect_stored(const Encoding& e) {
  const Grid& grid = e.grid;
  EXPECT_TRUE(is_integer_within(e.codes, grid.qmin(), grid.qmax()));
  const int64_t most = int64_t{1} << (grid.symmetric ? grid.block_scale_bits - 1 : grid.block_scale_bits);
  const auto is_half = [](const at::Tensor& t) { return same_bits(t.to(at::kHalf).to(t.scalar_type()), t); };
  const auto are_products = [&](const at::Tensor& made, const char* integers, const char* floats) {
    const at::Tensor of_groups = e.parts.at(floats).repeat_interleave(256 / grid.group_size, 1);
    return at::equal(made.abs(), (e.parts.at(integers) * of_groups).abs());
  };
  if (grid.form == superblock_form()) {
    EXPECT_TRUE(are_products(e.scale, kScaleInt, kScaleFloat));
    EXPECT_TRUE(is_integer_within(e.parts.at(kScaleInt), grid.symmetric ? -most : 1, most - 1));
    EXPECT_FALSE(e.parts.at(kScaleInt).eq(0).any().item<bool>());
    EXPECT_TRUE(is_half(e.parts.at(kScaleFloat)));
    EXPECT_EQ(e.parts.at(kScaleFloat).sizes(), at::IntArrayRef({e.codes.size(0), e.codes.size(1) / 256, 1}));
  } else {
    EXPECT_TRUE(is_half(e.scale));
  }
  if (grid.symmetric) return;
  EXPECT_LE(e.minimum->max().item<double>(), 0);
  if (grid.form != superblock_form()) {
    EXPECT_TRUE(is_half(*e.minimum));
    return;
  }
  EXPECT_TRUE(is_integer_within(e.parts.at(kMinimumInt), 0, most - 1));
  EXPECT_TRUE(is_half(e.parts.at(kMinimumFloat)));
  EXPECT_TRUE(are_products(*e.minimum, kMinimumInt, kMinimumFloat));
}

TEST(Superblocks, StartAsRoundToNearest) {
  for (const Grid& grid : grids()) {
    for (const at::Tensor& w : weights()) {
      SCOPED_TRACE(to_string(grid) + " " + c10::toString(w.scalar_type()));
      const Range range = min_max_range(w, grid);
      const Encoding rtn = encode_rtn("w", w, grid, range);
      const AdaScaleQuantizer quantizer(w, grid, range);
      EXPECT_TRUE(same_bits(quantizer.encode("w").codes, rtn.codes));
      EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(rtn)));
      EXPECT_TRUE(dequantize(rtn).isfinite().all().item<bool>());
      expect_stored(rtn);
    }
  }
}

TEST(Superblocks, EncodeWhatTheyCompute) {
  for (const Grid& grid : grids()) {
    for (const at::Tensor& w : weights()) {
      SCOPED_TRACE(to_string(grid) + " " + c10::toString(w.scalar_type()));
      const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
      move_learnables(quantizer, 0.2);
      const at::NoGradGuard no_grad;
      const Encoding encoding = quantizer.encode("w");
      EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(encoding)));
      expect_stored(encoding);
    }
  }
}

TEST(Superblocks, TheGradientReachesEveryLearnable) {
  for (const Grid& grid : grids()) {
    SCOPED_TRACE(to_string(grid));
    const AdaScaleQuantizer quantizer(weights()[0], grid, min_max_range(weights()[0], grid));
    move_learnables(quantizer, 0.1);
    const at::Tensor out = quantizer.quantized_weight();
    (out * at::randn_like(out)).sum().backward();
    for (const at::Tensor& p : quantizer.learnables()) {
      EXPECT_GT(p.grad().abs().max().item<double>(), 0);
      EXPECT_TRUE(p.grad().isfinite().all().item<bool>());
    }
  }
}

// With each rounding replaced by adding its present residual, a change of the minimum moves every
// clamped weight, and a change of the scale moves these by their code.
TEST(FloatMinimum, GradientsAreThoseOfTheSmoothForm) {
  const Grid grid = grids()[0];
  const at::Tensor w = random_weight({2, 64}, kDouble), split = split_groups(w, grid);
  const at::Tensor scale = at::full({2, 2, 1}, 0.02, kDouble).requires_grad_();
  const at::Tensor minimum = at::full({2, 2, 1}, -0.1, kDouble).requires_grad_();
  const at::Tensor g = at::randn_like(split);
  (fake_quantize(split, Affine{.scale = scale, .minimum = minimum}, grid) * g).sum().backward();
  const at::NoGradGuard no_grad;
  const at::Tensor x = (split - minimum) / scale, c = x.round().clamp(0, 15);
  const at::Tensor inside = x.round().eq(c);
  EXPECT_GT((~inside).sum().item<int64_t>(), 0);
  const auto near = [](const at::Tensor& a, const at::Tensor& b) {
    EXPECT_LT((a - b).abs().max().item<double>(), 1e-12);
  };
  near(minimum.grad(), (g * (~inside).to(kDouble)).sum({2}, true));
  near(scale.grad(), (g * (c - x * inside)).sum({2}, true));
}

TEST(Superblocks, ASearchedRangeErrsLess) {
  for (const Grid& grid : grids()) {
    SCOPED_TRACE(to_string(grid));
    for (const at::Tensor& w : {random_weight({6, 512}), weights()[0]}) {
      const Encoding searched = encode_rtn("w", w, grid, sqnr_range(w, grid));
      const Encoding widest = encode_rtn("w", w, grid, min_max_range(w, grid));
      EXPECT_GT(searched.sqnr_db, widest.sqnr_db);
    }
  }
}

TEST(Superblocks, FloatsThatAreReplacedAreStored) {
  for (const Grid& grid : grids()) {
    SCOPED_TRACE(to_string(grid));
    const Encoding encoding = encode_rtn("w", weights()[0], grid, min_max_range(weights()[0], grid));
    ScaleFloats floats = grid.form->floats(encoding);
    Encoding same = encoding, longer = on(encoding, at::kCPU);
    for (at::Tensor* tensor : tensors_of(longer)) *tensor = tensor->clone();
    grid.form->replace_floats(same, floats);
    EXPECT_TRUE(same_bits(dequantize(same), dequantize(encoding)));
    floats.scale = floats.scale * 1.1;
    if (encoding.minimum) floats.minimum = floats.minimum * 0.9;
    grid.form->replace_floats(longer, floats);
    expect_stored(longer);
    EXPECT_TRUE(at::allclose(longer.scale, encoding.scale * 1.1, 1e-3, 1e-5));
    if (encoding.minimum) {
      EXPECT_TRUE(at::allclose(*longer.minimum, *encoding.minimum * 0.9, 1e-3, 1e-5));
    }
    for (const char* integers : {kScaleInt, kMinimumInt}) {
      if (!encoding.parts.contains(integers)) continue;
      EXPECT_TRUE(at::equal(longer.parts.at(integers), encoding.parts.at(integers)));
    }
  }
}

// The input of a massive activation: its weights decide the output, one in a group of each row.
TEST(Superblocks, AWeightThatOutweighsAllOthersIsNearlyExact) {
  for (const Grid& grid : grids()) {
    if (grid.superblock_size == 0) continue;
    SCOPED_TRACE(to_string(grid));
    const at::Tensor w = random_weight({64, 512});
    at::Tensor importance = at::ones({512});
    importance[40] = 1e6;
    const Range range = weighted_sqnr_range(w, grid, importance);
    const at::Tensor found = dequantize(encode_rtn("w", w, grid, range)).select(1, 40);
    const at::Tensor column = w.select(1, 40);
    EXPECT_LT(((found - column) / column).abs().median().item<double>(), 0.002);
  }
}

// Around zero there is one more code below: the larger side gets it, whatever its sign.
TEST(Superblocks, ANegativeScaleReachesFarAbove) {
  const Grid grid = grids()[5];
  at::Tensor w = at::zeros({1, 256});
  w[0][0] = 4.0F, w[0][1] = -3.0F, w[0][16] = -4.0F, w[0][17] = 3.0F;
  const Encoding encoding = encode_rtn("w", w, grid, min_max_range(w, grid));
  EXPECT_EQ(encoding.codes[0][0].item<int64_t>(), -4);
  EXPECT_EQ(encoding.codes[0][16].item<int64_t>(), -4);
  EXPECT_LT(encoding.scale[0][0].item<float>(), 0);
  EXPECT_GT(encoding.scale[0][1].item<float>(), 0);
  EXPECT_LT((dequantize(encoding) - w).abs().max().item<double>(), 0.13);  // 31 of 32 parts on one side
}

TEST(Superblocks, TheLayoutIsTheSourcesOnOtherAxes) {
  for (const Grid& grid : grids()) {
    Grid transposed = grid;
    transposed.channel_axis = 1, transposed.group_axis = 0;
    const at::Tensor w = random_weight({6, 512}), t = w.t().contiguous();
    const Encoding rows = AdaScaleQuantizer(w, grid, min_max_range(w, grid)).encode("w");
    const Encoding columns = AdaScaleQuantizer(t, transposed, min_max_range(t, transposed)).encode("w");
    EXPECT_TRUE(at::equal(rows.codes.t(), columns.codes));
    EXPECT_TRUE(same_bits(dequantize(rows), dequantize(columns).t()));
  }
}

TEST(Superblocks, NeedGroupsThatFitThem) {
  const auto error = [](auto change, at::IntArrayRef sizes = {4, 512}) {
    Grid grid = grids()[3];
    change(grid);
    return error_of([&] { check_grid("w", grid, sizes); });
  };
  EXPECT_EQ(error([](Grid&) {}, {4, 576}),
            "w: in_features 576 is not a multiple of 256, the length of a superblock; "
            "use a grid of plain groups");
  EXPECT_EQ(error([](Grid& grid) { grid.superblock_size = 200; }),
            "w: superblocks of 200 are not whole groups of 32; use a group_size that divides them");
  EXPECT_EQ(error([](Grid& grid) { grid.symmetric = true, grid.form = minimum_form(); }),
            "w: a float minimum needs groups on an asymmetric grid; set group_size and symmetric = false");
  EXPECT_EQ(to_string(grids()[3]), "int4 with minimum per group of 32, superblocks of 256");
  EXPECT_EQ(to_string(grids()[0]), "int4 with minimum per group of 32");
}

TEST(Superblocks, TooLargeForHalf) {
  const at::Tensor w = at::full({1, 256}, 1e6F);
  EXPECT_EQ(
      error_of([&] { encode_rtn("w", w.neg(), grids()[0], min_max_range(w.neg(), grids()[0])); }),
      "w: values are too large for int4 with minimum per group of 32 with scales stored as Half; "
      "use more bits, exclude the layer (layer_config: param_bw 32), or write a format of float32 scales");
}

}  // namespace
}  // namespace adascale
