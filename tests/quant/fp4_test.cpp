#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/forms/minifloat.h"
#include "adascale/quant/schemes.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

constexpr double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

Grid grid_of(const std::string& form) {
  Grid grid{.bits = 4, .channel_axis = 0, .group_axis = 1, .form = grid_form_named(form)};
  grid.group_size = grid.form->fixed()->group_size;
  return grid;
}

Grid grid_for(const std::string& form, const at::Tensor& w) {
  Grid grid = grid_of(form);
  if (grid.form->is_shared_by_siblings())
    grid.shared_scale = grid.form->shared_scale(w.abs().max().item<double>());
  return grid;
}

const std::vector<std::string> kForms{"mxfp4", "nvfp4"};

/// By trying all of them; a tie goes to the even code.
double nearest_e2m1(double x) {
  int best = 0;
  for (int code = 1; code < 8; ++code) {
    const double distance = std::abs(std::abs(x) - kMagnitudes[code]);
    const double least = std::abs(std::abs(x) - kMagnitudes[best]);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return std::copysign(kMagnitudes[best], x);
}

TEST(MiniFloat, E2M1IsTheNearestOfItsEightMagnitudes) {
  at::Tensor x = at::arange(-6, 6.001, 1.0 / 64, at::kDouble), rounded = x.clone();
  round_to(rounded, x, kE2M1);
  for (int64_t i = 0; i < x.numel(); ++i)
    EXPECT_EQ(rounded[i].item<double>(), nearest_e2m1(x[i].item<double>())) << x[i].item<double>();
}

TEST(MiniFloat, E4M3RoundsAsTorchsOwnType) {
  at::manual_seed(3);
  at::Tensor x = at::randn({4096}).mul_(at::randn({4096}).mul_(4).exp_()).clamp_(-448, 448);
  const at::Tensor expected = x.to(c10::ScalarType::Float8_e4m3fn).to(at::kFloat);
  round_to(x, x, kE4M3);
  EXPECT_TRUE(at::equal(x, expected));
}

TEST(MiniFloat, APowerOfTwoIsExact) {
  const at::Tensor x = at::tensor({1.0F, 1.999F, 2.0F, -3.0F, 0.0F, 1e-30F}), p = power_of_two_below(x);
  EXPECT_TRUE(at::equal(p, at::tensor({1.0F, 1.0F, 2.0F, 2.0F, 0.0F, std::ldexp(1.0F, -100)})));
}

TEST(Fp4, CodesAreFourBitsAndComeBack) {
  for (const std::string& form : kForms) {
    SCOPED_TRACE(form);
    const Grid grid = grid_of(form);
    const at::Tensor codes = at::arange(16, at::kByte), numbers = grid.form->from_codes(codes, at::kFloat);
    for (int64_t code = 0; code < 16; ++code)
      EXPECT_EQ(numbers[code].item<double>(), code < 8 ? kMagnitudes[code] : -kMagnitudes[code - 8]);
    const at::Tensor again = grid.form->to_codes(numbers, grid);
    EXPECT_EQ(again.scalar_type(), at::kByte);
    EXPECT_TRUE(at::equal(again.slice(0, 0, 8), codes.slice(0, 0, 8)));
    EXPECT_TRUE(at::equal(again.slice(0, 9, 16), codes.slice(0, 9, 16)));
    EXPECT_EQ(again[8].item<int64_t>(), 0) << "no code for -0";
  }
}

TEST(Fp4, ScalesOfMxfp4ArePowersOfTwo) {
  const at::Tensor w = random_weight({6, 64});
  const Encoding encoding = encode_rtn("w", w, grid_of("mxfp4"), min_max_range(w, grid_of("mxfp4")));
  EXPECT_TRUE(at::equal(power_of_two_below(encoding.scale), encoding.scale));
  // OCP 6.3: floor(log2(largest)) - 2.
  const at::Tensor largest = split_groups(w, encoding.grid).abs().amax({2}, true);
  EXPECT_TRUE(at::equal(encoding.scale, power_of_two_below(largest) / 4));
}

TEST(Fp4, ScalesOfNvfp4AreE4M3TimesOneFloat) {
  const at::Tensor w = random_weight({6, 64});
  const Grid grid = grid_for("nvfp4", w);
  const Encoding encoding = encode_rtn("w", w, grid, min_max_range(w, grid));
  const at::Tensor block = encoding.scale / grid.shared_scale;
  at::Tensor rounded = block.clone();
  round_to(rounded, block, kE4M3);
  EXPECT_LT((rounded - block).abs().max().item<double>(), 1e-4);
  EXPECT_NEAR(block.max().item<double>(), 448, 0.01) << "the largest weight has the largest scale";
}

TEST(Fp4, StartsAsRoundToNearestAndEncodesItsOwnWeight) {
  for (const std::string& form : kForms)
    for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
      SCOPED_TRACE(form + c10::toString(dtype));
      const at::Tensor w = random_weight({10, 64}, dtype);
      const Grid grid = grid_for(form, w);
      const Range range = min_max_range(w.to(dtype == at::kDouble ? dtype : at::kFloat), grid);
      const AdaScaleQuantizer quantizer(w, grid, range);
      const at::NoGradGuard no_grad;
      EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(encode_rtn("w", w, grid, range))));
      for (const at::Tensor& p : quantizer.learnables()) p.add_(at::randn_like(p), 0.2);
      const Encoding encoding = quantizer.encode("w");
      EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(encoding)));
      EXPECT_GT(encoding.codes.ne(encode_rtn("w", w, grid, range).codes).sum().item<int64_t>(), 0);
    }
}

TEST(Fp4, AWeightOfInputsTimesOutputsIsTheSame) {
  for (const std::string& form : kForms) {
    const at::Tensor w = random_weight({10, 64});
    const Grid grid = grid_for(form, w);
    Grid turned = grid;
    turned.channel_axis = 1, turned.group_axis = 0;
    const AdaScaleQuantizer one(w, grid, min_max_range(w, grid)),
        other(w.t().contiguous(), turned, min_max_range(w.t(), turned));
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(at::equal(one.encode("w").codes, other.encode("w").codes.t())) << form;
  }
}

TEST(Fp4, TheGradientReachesEveryLearnable) {
  for (const std::string& form : kForms) {
    const at::Tensor w = random_weight({10, 64});
    const Grid grid = grid_for(form, w);
    const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
    const at::Tensor out = quantizer.quantized_weight();
    (out * at::randn_like(out)).sum().backward();
    for (const at::Tensor& p : quantizer.learnables()) {
      ASSERT_TRUE(p.grad().defined()) << form;
      EXPECT_GT(p.grad().abs().max().item<double>(), 0) << form;
    }
  }
}

// scale * gap / |w|: one step of s2 moves a weight by the distance of the magnitudes around it.
TEST(Fp4, ASignedStepIsMeasuredInTheLocalGap) {
  at::Tensor w = at::zeros({1, 32});
  w[0][0] = 6.0F, w[0][1] = 2.5F, w[0][2] = 1.2F, w[0][3] = 0.3F;
  const Grid grid = grid_of("mxfp4");
  const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
  const at::Tensor steps = quantizer.code_steps().front().flatten().slice(0, 0, 4);
  EXPECT_TRUE(at::allclose(steps * w.flatten().slice(0, 0, 4), at::tensor({2.0F, 1.0F, 0.5F, 0.5F})));
}

TEST(Fp4, TheSearchIsNoWorseThanTheWidestRange) {
  for (const std::string& form : kForms) {
    const at::Tensor w = random_weight({16, 128});
    const Grid grid = grid_for(form, w);
    const double searched = encode_rtn("w", w, grid, sqnr_range(w, grid)).sqnr_db;
    EXPECT_GT(searched, encode_rtn("w", w, grid, min_max_range(w, grid)).sqnr_db) << form;
  }
}

TEST(Fp4, ANumberThatIsNoneStaysSo) {
  for (const std::string& form : kForms) {
    const Grid grid = grid_of(form);
    const at::Tensor bad = at::tensor({NAN, INFINITY}).view({1, 2, 1});
    EXPECT_FALSE(storable_affine({-bad, bad}, grid).scale.isfinite().any().item<bool>()) << form;
  }
  at::Tensor x = at::tensor({INFINITY, -INFINITY, 7.5F});
  const Grid grid = grid_of("mxfp4");
  const at::Tensor scale = at::ones({});
  EXPECT_TRUE(at::equal(fake_quantize(x, scale, {}, grid), at::tensor({6.0F, -6.0F, 6.0F})));
}

TEST(Fp4, RefusesRowsThatAreNoWholeGroups) {
  EXPECT_EQ(error_of([&] {
              check_grid("w", grid_of("mxfp4"), {4, 48});
            }),
            "w: in_features 48 is not a multiple of 32, the group of mxfp4; give the layer another grid, or "
            "exclude it (layer_config: param_bw 32)");
}

}  // namespace
}  // namespace adascale
