#include "adascale/tune/sensitivity.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "adascale/tune/output_draw.h"
#include "adascale/tune/squared_gradient.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::seed_batches;
using testing::seed_sim;

TEST(SquaredGradient, IsExactForAProductOfRowsAndColumns) {
  at::manual_seed(1);
  const at::Tensor rows = at::randn({6}), columns = at::randn({5}), change = at::randn({6, 5});
  const at::Tensor gradient = at::outer(rows, columns);
  SquaredGradient squares({.channel = 0});
  EXPECT_EQ(squares.times_change(change, {}), 0) << "nothing seen";
  squares.add(gradient, {});
  squares.add(gradient * 2, {});
  const double expected = 5 * (gradient * change).square().sum().item<double>();
  EXPECT_NEAR(squares.times_change(change, {}), expected, 1e-5 * expected);
  SquaredGradient turned({.channel = 1});
  turned.add(gradient.t(), {});
  EXPECT_NEAR(turned.times_change(change.t(), {}), expected / 5, 1e-5 * expected);
}

/// Gradients of a layer on four positions, whose inputs have a mean, beside what they make of a change in one direction.
/// `order`: of the weight's axes, channels, experts and inputs in turn. `sum_of`: the sum of the output's gradients over
/// positions, in units of one.
struct ShiftOfTheMean {
  double exact = 0, found = 0, as_if_independent = 0;
  ShiftOfTheMean(at::IntArrayRef order, WeightAxes axes, double sum_of) {
    at::manual_seed(4);
    const auto laid = [&](const at::Tensor& x) { return x.permute(order); };
    const at::Tensor mean = at::rand({1, 3, 5}) * 2, spread = at::rand({1, 3, 5}) + 0.1;
    const at::Tensor change = at::rand({6, 3, 5}) + 0.1;
    SquaredGradient squares(axes), independent(axes);
    constexpr int kSamples = 3000, kPositions = 4;
    for (int i = 0; i < kSamples; ++i) {
      at::Tensor of_output = at::randn({kPositions, 6, 3, 1});
      of_output =
          of_output - of_output.mean(0, /*keepdim=*/true) + sum_of / kPositions * at::randn({6, 3, 1});
      const at::Tensor x = mean + spread * at::randn({kPositions, 1, 3, 5});
      const at::Tensor gradient = (of_output * x).sum(0);
      squares.add(laid(gradient), laid(mean));
      independent.add(laid(gradient), {});
      const double product = (gradient * change).sum().item<double>();
      exact += product * product;
    }
    found = squares.times_change(laid(change), laid(mean));
    as_if_independent = independent.times_change(laid(change), {});
  }
};

TEST(SquaredGradient, CountsTheShiftOfTheMeanInput) {
  const WeightAxes natural{.channel = 0, .stack = {1}, .inputs = {2}},
      turned{.channel = 2, .stack = {0}, .inputs = {1}};
  for (const double sum_of : {2.0, 8.0}) {
    const ShiftOfTheMean seen({0, 1, 2}, natural, sum_of), other({1, 2, 0}, turned, sum_of);
    EXPECT_NEAR(seen.found, seen.exact, 0.1 * seen.exact) << sum_of;
    EXPECT_LT(seen.as_if_independent, 0.5 * seen.exact) << sum_of;
    EXPECT_NEAR(other.found, seen.found, 1e-4 * seen.found) << sum_of;
  }
}

TEST(SquaredGradient, CountsNoShiftWhereGradientsOfPositionsCancel) {
  const ShiftOfTheMean seen({0, 1, 2}, {.channel = 0, .stack = {1}, .inputs = {2}}, 0);
  EXPECT_NEAR(seen.found, seen.exact, 0.1 * seen.exact);
}

/// Fisher: E (g . dz)^2 / 2 is the divergence for a small change dz of the logits.
TEST(OutputDraw, OfLogitsMeasuresTheDivergence) {
  at::manual_seed(2);
  const at::Tensor logits = at::randn({1, 3, 7}) * 2, change = at::randn({1, 3, 7}) * 0.02;
  const ComparedOutput output{0, TokenInputs{}};
  double sum = 0;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    const OutputDraw draw = draw_output(output, {}, logits, i);
    const double product = (draw.gradient * change).sum().item<double>();
    sum += draw.factor * product * product / draw.positions / kDraws;
  }
  EXPECT_NEAR(sum, divergence(logits, logits + change).loss, 0.1 * sum);
}

TEST(OutputDraw, OfAnotherOutputMeasuresTheRelativeError) {
  at::manual_seed(3);
  const at::Tensor y = at::randn({4, 9}), change = at::randn({4, 9}) * 0.1;
  double sum = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    const OutputDraw draw = draw_output({0}, {}, y, i);
    const double product = (draw.gradient * change).sum().item<double>();
    sum += draw.factor * product * product / draw.positions / kDraws;
  }
  EXPECT_NEAR(sum, relative_error(y, y + change).loss, 0.1 * sum);
}

std::vector<WeightGrids> all_weights(const QuantizationSimModel& sim, const std::vector<int>& widths) {
  std::vector<WeightGrids> weights;
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    weights.push_back({i, {}});
    for (const int bits : widths) {
      weights.back().grids.push_back(sim.weights()[i].grid);
      weights.back().grids.back().bits = bits;
    }
  }
  return weights;
}

/// How far the output goes if one weight alone is rounded.
double true_loss(const QuantizationSimModel& sim, int32_t weight, const std::vector<Inputs>& samples) {
  double sum = 0;
  for (const Inputs& sample : samples) {
    const ComparedOutput output = compared_output(sim.program());
    RunHooks hooks;
    hooks.load_state = [&](ValueId value) {
      return sim.load_state(value, sim.weight_of(value) == weight ? SimMode::kWeightsOnly : SimMode::kFloat);
    };
    const Outputs quantized = run_program(sim.program(), sample, hooks),
                  exact = sim.run(sample, SimMode::kFloat);
    sum += output_loss(output, sample, exact.front().toTensor(), quantized.front().toTensor()).loss;
  }
  return sum / static_cast<double>(samples.size());
}

TEST(Sensitivity, IsNearTheLossOfEachWeightAlone) {
  const QuantizationSimModel sim = seed_sim(4);
  const std::vector<Inputs> samples = seed_batches(16);
  const auto found = output_losses(sim, {}, all_weights(sim, {4}), samples, {});
  ASSERT_EQ(found.size(), sim.weights().size());
  for (size_t i = 0; i < found.size(); ++i) {
    const double loss = true_loss(sim, static_cast<int32_t>(i), samples);
    EXPECT_GT(found[i][0], loss / 3) << i;
    EXPECT_LT(found[i][0], loss * 3) << i;
  }
}

TEST(Sensitivity, FallsWithEachBitAndIsTheSameForTheSameSeed) {
  const QuantizationSimModel sim = seed_sim();
  const auto weights = all_weights(sim, {2, 3, 4, 8});
  const auto samples = seed_batches(4);
  const auto found = output_losses(sim, {}, weights, samples, {StartRange::kWeighted});
  for (const std::vector<double>& losses : found)
    for (size_t i = 1; i < losses.size(); ++i) EXPECT_LT(losses[i], losses[i - 1]);
  EXPECT_EQ(found, output_losses(sim, {}, weights, samples, {StartRange::kWeighted}));
  EXPECT_NE(found, output_losses(sim, {}, weights, samples, {StartRange::kWeighted, 1}));
}

}  // namespace
}  // namespace adascale
