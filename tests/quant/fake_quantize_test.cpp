#include "adascale/quant/fake_quantize.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/round.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "quant/quant_cases.h"

namespace adascale {
namespace {

// A weight [4, 12] with values inside the grid and beyond it on both sides, in double,
// and an incoming gradient.
struct Example {
  Grid grid;
  at::Tensor w, scale, offset, g;

  explicit Example(bool symmetric) : grid{.bits = 3, .symmetric = symmetric, .channel_axis = 0} {
    w = random_weight({4, 12}, kDouble).mul_(10).requires_grad_();
    scale = at::tensor({0.11, 0.2, 0.31, 0.47}, kDouble).view({4, 1}).requires_grad_();
    if (!symmetric) offset = at::tensor({-3.0, -1.0, -5.0, -7.0}, kDouble).view({4, 1}).requires_grad_();
    g = random_weight({4, 12}, kDouble, 2);
    (fake_quantize(w, scale, offset, grid) * g).sum().backward();
  }
  double lowest(int64_t row) const { return grid.symmetric ? grid.qmin() : offset[row][0].item<double>(); }
};

void expect_near(const at::Tensor& x, const at::Tensor& y, double tolerance) {
  ASSERT_EQ(x.sizes(), y.sizes());
  EXPECT_LT((x - y).abs().max().item<double>(), tolerance);
}

class FakeQuantizeGradient : public ::testing::TestWithParam<bool> {};

TEST_P(FakeQuantizeGradient, IsTheFormulas) {
  const Example e(GetParam());
  int64_t insiders = 0;
  for (int64_t row = 0; row < 4; ++row) {
    double to_scale = 0, to_offset = 0;
    const double s = e.scale[row][0].item<double>(), low = e.lowest(row), high = low + e.grid.steps();
    for (int64_t i = 0; i < 12; ++i) {
      const double x = e.w[row][i].item<double>() / s, g = e.g[row][i].item<double>(),
                   rounded = std::nearbyint(x);
      const bool inside = rounded >= low && rounded <= high;
      insiders += inside;
      to_scale += g * (inside ? rounded - x : std::min(std::max(rounded, low), high));
      to_offset += inside ? 0 : s * g;
      EXPECT_DOUBLE_EQ(e.w.grad()[row][i].item<double>(), inside ? g : 0);
    }
    EXPECT_NEAR(e.scale.grad()[row][0].item<double>(), to_scale, 1e-12);
    if (!e.grid.symmetric) {
      EXPECT_NEAR(e.offset.grad()[row][0].item<double>(), to_offset, 1e-12);
    }
  }
  EXPECT_GT(insiders, 8);
  EXPECT_LT(insiders, 40);
}

// Beyond the grid there is no rounding: the function is scale * (offset + constant), and
// differences are its gradient.
TEST_P(FakeQuantizeGradient, IsFiniteDifferencesWhereClamped) {
  Example e(GetParam());
  const at::Tensor c = nearest_steps(e.w, e.scale, e.offset, e.grid);
  const at::Tensor clamped = at::round(e.w.detach() / e.scale.detach()).ne(c);
  const at::Tensor g = e.g * clamped;
  for (const at::Tensor& p : {e.w, e.scale, e.offset})
    if (p.defined()) p.mutable_grad().reset();
  (fake_quantize(e.w, e.scale, e.offset, e.grid) * g).sum().backward();

  const auto difference = [&](const at::Tensor& moved) {
    const at::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    const auto value = [&] { return (fake_quantize(e.w, e.scale, e.offset, e.grid) * g).sum(1, true); };
    moved.add_(kStep);
    const at::Tensor above = value();
    moved.sub_(2 * kStep);
    const at::Tensor below = value();
    moved.add_(kStep);
    return (above - below) / (2 * kStep);
  };
  expect_near(e.scale.grad(), difference(e.scale), 1e-7);
  expect_near(e.w.grad(), at::zeros_like(e.w), 1e-12);
  expect_near(at::zeros_like(e.scale), difference(e.w), 1e-7);
  if (!e.grid.symmetric) expect_near(e.offset.grad(), difference(e.offset), 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Grids, FakeQuantizeGradient, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "symmetric" : "asymmetric"; });

TEST(FakeQuantize, GivesTheSameValuesWithAndWithoutGradients) {
  for (const bool symmetric : {true, false}) {
    const Example e(symmetric);
    const at::Tensor learned = fake_quantize(e.w, e.scale, e.offset, e.grid);
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(same_bits(fake_quantize(e.w, e.scale, e.offset, e.grid), learned));
  }
}

TEST(FakeQuantize, KeepsTheDtypeAndComputesInFp32) {
  for (const auto dtype : {c10::ScalarType::BFloat16, c10::ScalarType::Half}) {
    const at::Tensor w = random_weight({4, 12}, dtype).requires_grad_();
    const at::Tensor scale = at::tensor({0.013f}).squeeze().requires_grad_();
    const at::Tensor out = fake_quantize(w, scale, {}, Grid{.bits = 8});
    EXPECT_EQ(out.scalar_type(), dtype);
    EXPECT_TRUE(
        same_bits(out, fake_quantize(w.to(c10::ScalarType::Float), scale, {}, Grid{.bits = 8}).to(dtype)));
    out.sum().backward();
    EXPECT_EQ(w.grad().scalar_type(), dtype);
    EXPECT_EQ(scale.grad().scalar_type(), c10::ScalarType::Float);
    EXPECT_EQ(scale.grad().dim(), 0);
  }
}

TEST(FakeQuantize, RoundsHalfToEven) {
  const at::Tensor w = at::tensor({0.5f, 1.5f, 2.5f, -0.5f, -2.5f});
  const at::Tensor expected = at::tensor({0.0f, 2.0f, 2.0f, 0.0f, -2.0f});
  EXPECT_TRUE(same_bits(fake_quantize(w, at::tensor({1.0f}), {}, Grid{.bits = 4}), expected));
}

TEST(RoundStraightThrough, RoundsAndHandsTheGradientOn) {
  const at::Tensor x = at::tensor({0.4, 1.5, -2.6}, kDouble).requires_grad_();
  const at::Tensor rounded = round_straight_through(x);
  EXPECT_TRUE(at::equal(rounded, at::tensor({0.0, 2.0, -3.0}, kDouble)));
  const at::Tensor g = at::tensor({1.0, 2.0, 3.0}, kDouble);
  (rounded * g).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), g));
}

TEST(FakeQuantizeActivation, PutsValuesOnTheGrid) {
  const at::Tensor x = at::linspace(-2, 2, 101);
  const at::Tensor symmetric = fake_quantize_activation(x, 0.25, 0, 4, true);
  EXPECT_EQ(symmetric.min().item<float>(), -2.0f);
  EXPECT_EQ(symmetric.max().item<float>(), 1.75f);
  const at::Tensor asymmetric = fake_quantize_activation(x, 0.25, -3, 4, false);
  EXPECT_EQ(asymmetric.min().item<float>(), -0.75f);
  EXPECT_EQ(asymmetric.max().item<float>(), 2.0f);
  EXPECT_TRUE(at::equal(asymmetric / 0.25, (asymmetric / 0.25).round()));
}

TEST(FakeQuantizeActivation, AgreesWithTheWeightsOperator) {
  const at::Tensor x = random_weight({1000});
  const Grid grid{.bits = 8, .symmetric = false};
  // A power of two: x / scale and x * (1 / scale) agree.
  const at::Tensor expected =
      fake_quantize(x, at::tensor({0x1p-9f}).squeeze(), at::tensor({-100.0f}).squeeze(), grid);
  EXPECT_TRUE(at::equal(fake_quantize_activation(x, 0x1p-9, -100, 8, false), expected));
}

}  // namespace
}  // namespace adascale
