#include "adascale/tune/sensitivity.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/core/seed.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/quant/round_to_nearest.h"
#include "adascale/quant/schemes.h"
#include "adascale/sim/token_logits.h"
#include "adascale/tune/input_power.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/output_draw.h"
#include "adascale/tune/squared_gradient.h"

namespace adascale {
namespace {

constexpr size_t kMostSamples = 16, kFewestSamples = 4;
constexpr double kMostPositions = 4096;  // of an output, over all samples

std::vector<int32_t> indices_of(const std::vector<WeightGrids>& weights) {
  std::vector<int32_t> indices;
  for (const WeightGrids& one : weights) indices.push_back(one.weight);
  return indices;
}

class Sensitivity {
 public:
  Sensitivity(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
              const std::vector<WeightGrids>& weights, const SensitivitySettings& settings)
      : sim_(sim),
        weights_(weights),
        settings_(settings),
        output_(compared_output(sim.program())),
        place_of_(values_of_weights(sim, indices_of(weights))),
        power_(sim, indices_of(weights), /*sums=*/1, /*has_means=*/true) {
    ADA_CHECK(output_.value != kNone,
              "the model has no output of floats, by which weights could be compared");
    std::set<ValueId> learned;
    for (const auto& [value, place] : place_of_) learned.insert(value);
    chunks_.emplace(chunks_at_blocks(sim, blocks, learned, output_.value));
    ADA_CHECK(chunks_->obstacle().empty(), "the model's output has no gradient: {}", chunks_->obstacle());
    for (const WeightGrids& one : weights) squares_.emplace_back(layer(one).axes);
  }

  void see(const std::vector<Inputs>& samples) {
    const size_t count = std::min(samples.size(), kMostSamples);
    Pass pass("sensitivity of the output", static_cast<int64_t>(count));
    for (size_t i = 0; i < count && (i < kFewestSamples || positions_ < kMostPositions); ++i) {
      add(samples[i], derive_seed(static_cast<uint64_t>(settings_.seed), i));
      KeptMemory::give_back_holes();
      pass.step();
    }
  }

  std::vector<std::vector<double>> losses() const {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> importance = power_.mean_squares();
    std::vector<std::vector<double>> found;
    Pass pass("ranges of the choices", static_cast<int64_t>(weights_.size()));
    for (size_t i = 0; i < weights_.size(); ++i) {
      const at::Tensor w = sim_.state(layer(weights_[i]).parameters.front()).detach().to(device());
      found.emplace_back();
      for (const Grid& grid : weights_[i].grids) {
        const at::Tensor change = round_to_nearest(w, grid, range(w, grid, importance[i])).sub(w);
        found.back().push_back(loss(i, squares_[i].times_change(change, power_.mean(i))));
      }
      pass.step();
    }
    return found;
  }

 private:
  c10::Device device() const { return sim_.program().device; }
  const Layer& layer(const WeightGrids& one) const { return sim_.weights()[one.weight].layer; }

  Range range(const at::Tensor& w, const Grid& grid, const at::Tensor& importance) const {
    if (settings_.start == StartRange::kWeighted) return weighted_sqnr_range(w, grid, importance);
    return range_scheme(to_string(sim_.options().quant_scheme)).weight_range(w, grid);
  }

  double loss(size_t place, double squares) const {
    const double found = factor_ * squares / std::max(positions_, 1.0);
    ADA_CHECK(std::isfinite(found),
              "{}: the gradient of the model's output is not finite; mend the model or the data, or give the "
              "layer its bits",
              layer(weights_[place]).name);
    return found;
  }

  void add(const Inputs& sample, uint64_t seed) {
    leaves_.assign(weights_.size(), {});
    Environment environment(sim_.program());
    feed_inputs(sim_.program(), sample, environment);
    RunHooks hooks;
    hooks.load_state = [this](ValueId value) { return load(value); };
    std::set<NodeId> seen;  // most pieces run twice
    hooks.before = [&, mask = padding_mask(sim_.program(), sample)](NodeId node, const Environment& now) {
      const at::NoGradGuard no_grad;
      if (seen.insert(node).second) power_.watch(0, node, now, mask);
    };
    const auto gradient = [&](const Environment& now) {
      const OutputDraw draw = draw_output(output_, sample, now.tensor(output_.value), seed);
      positions_ += draw.positions;
      factor_ = draw.factor;
      return draw.gradient;
    };
    chunks_->differentiate(environment, hooks, gradient, [this] { take_gradients(/*of_all=*/false); });
    take_gradients(/*of_all=*/true);
  }

  /// A leaf where gradients are asked for.
  at::Tensor load(ValueId value) {
    const at::Tensor w = sim_.load_state(value, SimMode::kFloat);
    const auto place = place_of_.find(value);
    if (place == place_of_.end() || !at::GradMode::is_enabled()) return w;
    leaves_[place->second].push_back(w.to(device()).detach().requires_grad_());
    return leaves_[place->second].back();
  }

  /// A weight that several nodes read waits for the gradients of all.
  void take_gradients(bool of_all) {
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (leaves_[i].empty() || (!of_all && layer(weights_[i]).nodes.size() > 1)) continue;
      at::Tensor sum;
      for (const at::Tensor& leaf : leaves_[i])
        if (leaf.grad().defined()) sum = sum.defined() ? sum.add(leaf.grad()) : leaf.grad();
      if (sum.defined()) squares_[i].add(sum, power_.mean(i));
      leaves_[i].clear();
    }
  }

  const QuantizationSimModel& sim_;
  const std::vector<WeightGrids>& weights_;
  SensitivitySettings settings_;
  ComparedOutput output_;
  std::map<ValueId, size_t> place_of_;  // in weights_
  InputPower power_;
  std::optional<Chunks> chunks_;
  std::vector<SquaredGradient> squares_;         // by weight
  std::vector<std::vector<at::Tensor>> leaves_;  // by weight, of the piece whose gradients are being found
  double positions_ = 0, factor_ = 1;
};

}  // namespace

std::vector<std::vector<double>> output_losses(const QuantizationSimModel& sim,
                                               const std::vector<Block>& blocks,
                                               const std::vector<WeightGrids>& weights,
                                               const std::vector<Inputs>& samples,
                                               const SensitivitySettings& settings) {
  Sensitivity sensitivity(sim, blocks, weights, settings);
  sensitivity.see(samples);
  return sensitivity.losses();
}

}  // namespace adascale
