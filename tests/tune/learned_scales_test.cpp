// Gradients of scales that go around autograd, against autograd.
#include "adascale/tune/learned_scales.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "adascale/quant/forms/form.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/output_loss.h"
#include "graph/programs.h"

namespace adascale {
namespace {

using testing::load_named;
using testing::recorded;
using testing::recorded_inputs;

QuantizationSimModel quantized(const std::string& program, int64_t group_size, bool symmetric) {
  SimOptions options{.default_param_bw = 4, .default_output_bw = kOffBits};
  options.group_size = group_size, options.symmetric = symmetric;
  QuantizationSimModel sim(load_named(program), options);
  sim.compute_encodings([](QuantizationSimModel&) {});
  return sim;
}

/// The linears whose rows are whole superblocks of four on the grid of a K-quant, or with a float minimum a group.
QuantizationSimModel regridded(const std::string& program, bool symmetric, const GridForm* form) {
  QuantizationSimModel sim = quantized(program, 2, symmetric);
  SimEditor editor(sim);
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const at::Tensor w = editor.source_weight(i);
    Grid grid = sim.weights()[i].grid;
    if (w.dim() != 2 || w.size(1) % 4 != 0 || !grid.per_group()) continue;
    grid.form = form;
    if (form == superblock_form()) grid.block_scale_bits = 4, grid.superblock_size = 4;
    editor.fold(i, encode_rtn(program, w, grid, min_max_range(w, grid)), /*trained=*/false);
  }
  return sim;
}

std::vector<int32_t> all_weights(const QuantizationSimModel& sim) {
  std::vector<int32_t> all;
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i)
    if (sim.weights()[i].encoding) all.push_back(i);
  return all;
}

/// The program, differentiated with those hooks for an output's gradient drawn at random.
void differentiate(const QuantizationSimModel& sim, const std::string& name, const RunHooks& hooks,
                   const std::function<void()>& after_piece = {}) {
  std::set<ValueId> learned;
  for (const auto& [value, place] : values_of_weights(sim, all_weights(sim))) learned.insert(value);
  const ValueId output = compared_output(sim.program()).value;
  const Chunks chunks = chunks_at_blocks(sim, blocks_to_train(sim.program(), {}), learned, output);
  ASSERT_EQ(chunks.obstacle(), "");
  Environment environment(sim.program());
  feed_inputs(sim.program(), recorded_inputs(sim.program(), recorded(name)), environment);
  chunks.differentiate(
      environment, hooks,
      [&](const Environment& now) {
        at::manual_seed(4);
        return at::randn_like(now.tensor(output));
      },
      after_piece);
}

std::vector<at::Tensor> by_autograd(const QuantizationSimModel& sim, const std::string& name) {
  const std::vector<int32_t> weights = all_weights(sim);
  const std::map<ValueId, size_t> places = values_of_weights(sim, weights);
  std::vector<at::Tensor> changes;  // of scales, and of minima behind them
  std::map<int32_t, std::pair<at::Tensor, at::Tensor>> changes_of;
  const auto learned = [&](const at::Tensor& floats) {
    changes.push_back(at::zeros_like(floats).requires_grad_());
    return changes.back();
  };
  const auto floats_of = [&](int32_t weight) {
    const Encoding& encoding = *sim.weights()[weight].encoding;
    return encoding.grid.form->floats(encoding);
  };
  for (const int32_t weight : weights) changes_of[weight].first = learned(floats_of(weight).scale);
  for (const int32_t weight : weights)
    if (floats_of(weight).minimum.defined()) changes_of[weight].second = learned(floats_of(weight).minimum);
  RunHooks hooks;
  hooks.load_state = [&](ValueId value) {
    const auto place = places.find(value);
    if (place == places.end()) return sim.load_state(value, SimMode::kWeightsOnly);
    const Encoding& encoding = *sim.weights()[weights[place->second]].encoding;
    const auto& [scale, minimum] = changes_of.at(weights[place->second]);
    const auto factors = [&](const at::Tensor& change) {
      const int64_t groups = encoding.scale.numel() / change.numel();
      return groups == 1 ? change.exp() : change.exp().repeat_interleave(groups, encoding.grid.group_axis);
    };
    at::Tensor w = split_groups(dequantize(encoding), encoding.grid);
    if (encoding.minimum) w = w.sub(*encoding.minimum);
    w = w.mul(factors(scale));
    if (encoding.minimum) w = w.add(encoding.minimum->mul(factors(scale)).mul(factors(minimum.mul(0.25))));
    return join_groups(w, encoding.codes.sizes(), encoding.grid);
  };
  differentiate(sim, name, hooks);
  std::vector<at::Tensor> found;
  for (const at::Tensor& change : changes) found.push_back(change.grad());
  return found;
}

std::vector<at::Tensor> by_learned_scales(const QuantizationSimModel& sim, const std::string& name) {
  LearnedScales scales(sim, all_weights(sim));
  RunHooks hooks;
  hooks.load_state = [&](ValueId value) {
    const at::Tensor weight = scales.load(value, at::kFloat);
    return weight.defined() ? weight : sim.load_state(value, SimMode::kWeightsOnly);
  };
  hooks.transform = [&](ValueId value, const at::Tensor& made) { return scales.watch(value, made); };
  differentiate(sim, name, hooks, [&] { scales.collect(/*of_all=*/false); });
  scales.collect(/*of_all=*/true);
  std::vector<at::Tensor> found;
  for (const at::Tensor& change : scales.changes()) found.push_back(change.grad());
  return found;
}

void expect_autograds_gradients(const QuantizationSimModel& sim, const std::string& name) {
  const std::vector<at::Tensor> expected = by_autograd(sim, name), found = by_learned_scales(sim, name);
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(expected[i].defined(), found[i].defined());
    if (!expected[i].defined()) continue;  // a second output's
    EXPECT_GT(expected[i].abs().max().item<float>(), 0);
    const double most = 1e-5 * expected[i].abs().max().item<double>();
    EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-4, most));
  }
}

// Linears with and without bias, one applied twice, tied weights, an in-place operator, a weight that is read beside its
// layer, convolutions.
TEST(LearnedScales, HaveAutogradsGradients) {
  for (const std::string name : {"llama", "bert", "mlp", "twice", "tied", "products", "cnn"})
    for (const bool symmetric : {true, false})
      for (const int64_t group_size : {0, 2}) {
        if (group_size > 0 && name == "cnn") continue;  // 3 input channels
        SCOPED_TRACE(name + (symmetric ? " symmetric " : " asymmetric ") + std::to_string(group_size));
        expect_autograds_gradients(quantized(name, group_size, symmetric), name);
      }
}

TEST(LearnedScales, OfProductsTheFloatsHaveAutogradsGradients) {
  for (const std::string name : {"llama", "bert", "twice"}) {
    for (const bool symmetric : {true, false}) {
      SCOPED_TRACE(name + (symmetric ? " symmetric superblocks" : " superblocks with minima"));
      expect_autograds_gradients(regridded(name, symmetric, superblock_form()), name);
    }
    SCOPED_TRACE(name + " minima");
    expect_autograds_gradients(regridded(name, false, minimum_form()), name);
    SCOPED_TRACE(name + " LPBQ");
    SimOptions options{.default_param_bw = 4, .default_output_bw = kOffBits};
    options.group_size = 2, options.decompressed_bw = 8;
    QuantizationSimModel sim(load_named(name), options);
    sim.compute_encodings([](QuantizationSimModel&) {});
    expect_autograds_gradients(sim, name);
  }
}

TEST(LearnedScales, ThoseOfChannelsAskForNoGradientOfTheWeight) {
  const auto asking = [](const std::string& program, int64_t group_size) {
    const QuantizationSimModel sim = quantized(program, group_size, /*symmetric=*/true);
    const std::vector<int32_t> weights = all_weights(sim);
    LearnedScales scales(sim, weights);
    const at::AutoGradMode grad(true);
    std::set<std::string> names;
    for (const auto& [value, place] : values_of_weights(sim, weights))
      if (scales.load(value, at::kFloat).requires_grad())
        names.insert(sim.weights()[weights[place]].layer.name);
    return names;
  };
  EXPECT_EQ(asking("products", 0), (std::set<std::string>{"up", "scaled"}))
      << "one is overwritten, one is read beside its layer";
  EXPECT_EQ(asking("products", 2), (std::set<std::string>{"up", "down", "twice", "scaled"}));
}

TEST(LearnedScales, LeaveNoTensorBehind) {
  const QuantizationSimModel sim = quantized("llama", 0, true);
  const std::vector<int32_t> weights = all_weights(sim);
  LearnedScales scales(sim, weights);
  const auto product = std::ranges::find_if(
      sim.weights(), [](const QuantizedWeight& weight) { return weight.layer.name.ends_with("q_proj"); });
  ASSERT_NE(product, sim.weights().end());
  const ValueId of_a_product = sim.program().nodes[product->layer.nodes.front()].writes().front();
  c10::weak_intrusive_ptr<c10::TensorImpl> kept = [&] {
    RunHooks hooks;
    std::optional<c10::weak_intrusive_ptr<c10::TensorImpl>> output;
    hooks.load_state = [&](ValueId value) {
      const at::Tensor weight = scales.load(value, at::kFloat);
      return weight.defined() ? weight : sim.load_state(value, SimMode::kWeightsOnly);
    };
    hooks.transform = [&](ValueId value, const at::Tensor& made) {
      const at::Tensor watched = scales.watch(value, made);
      const bool is_noted = at::GradMode::is_enabled() && value == of_a_product;
      if (is_noted) output.emplace(watched.getIntrusivePtr());
      return watched;
    };
    differentiate(sim, "llama", hooks);
    return *output;
  }();
  EXPECT_TRUE(kept.expired());
}

}  // namespace
}  // namespace adascale
