#include "adascale/tune/work.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <unordered_map>

#include "adascale/device/flags.h"
#include "adascale/device/traits.h"
#include "adascale/quant/schemes.h"
#include "adascale/tune/batch_sizes.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/trained_layers.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

constexpr double kFlopsOfTraining = 3;  // forward, and both gradients

/// Weights of one output: a convolution's kernel counts.
int64_t inputs_of(at::IntArrayRef sizes, const WeightAxes& axes) {
  int64_t outputs = sizes[axes.channel];
  for (const int64_t axis : axes.stack) outputs *= sizes[axis];
  return c10::multiply_integers(sizes) / outputs;
}

/// What all blocks of a part have in common.
struct PartFacts {
  const QuantizationSimModel& sim;
  std::vector<std::pair<SymbolSizes, int64_t>> batches;
  std::unordered_map<NodeId, std::vector<int32_t>> weights =
      {};  ///< quantized, by the node that multiplies by them

  explicit PartFacts(const PartToTrain& part)
      : sim(part.sim), batches(count_sizes(part.sim.program(), part.batches)) {
    for (size_t i = 0; i < sim.weights().size(); ++i) {
      const Layer& layer = sim.weights()[i].layer;
      if (!layer.kind->multiplies) continue;
      for (const NodeId node : layer.nodes) weights[node].push_back(static_cast<int32_t>(i));
    }
  }

  at::IntArrayRef sizes_of(const Layer& layer) const {
    return sim.program().state.at(layer.parameters.front()).sizes();
  }
  const Value& output_of(NodeId node) const {
    return sim.program().values[sim.program().nodes[node].writes().front()];
  }
};

/// Of one batch, forward. A recurrent cell multiplies by the whole weight at each step.
double flops_of(const PartFacts& part, const Layer& layer, NodeId node, const SymbolSizes& symbols) {
  const at::IntArrayRef sizes = part.sizes_of(layer);
  const Value& output = part.output_of(node);
  const auto elements = static_cast<double>(elements_of(output, symbols));
  if (!layer.kind->is_recurrent) return 2 * elements * static_cast<double>(inputs_of(sizes, layer.axes));
  const Dim& width = output.sizes.back();
  return 2 * elements / static_cast<double>(width.size) * static_cast<double>(c10::multiply_integers(sizes));
}

/// Of all batches.
double flops_of(const PartFacts& part, const Block& block) {
  double flops = 0;
  for (const NodeId node : block.layers) {
    const auto found = part.weights.find(node);
    if (found == part.weights.end()) continue;
    for (const int32_t weight : found->second)
      for (const auto& [symbols, count] : part.batches)
        flops += static_cast<double>(count) * flops_of(part, part.sim.weights()[weight].layer, node, symbols);
  }
  return flops;
}

Work::Sample sample_of(const PartFacts& part, const QuantizedWeight& weight) {
  const Layer& layer = weight.layer;
  const at::IntArrayRef sizes = part.sizes_of(layer);
  const int64_t outputs = c10::multiply_integers(sizes) / inputs_of(sizes, layer.axes);
  const int64_t elements = elements_of(part.output_of(layer.nodes.front()), part.batches.front().first);
  return {.sizes = sizes.vec(),
          .dtype = part.sim.program().state.at(layer.parameters.front()).scalar_type(),
          .grid = weight.grid,
          .axes = layer.axes,
          .has_s4 = layer.kind->has_s4,
          .takes_bfloat16 = takes_bfloat16(part.sim, weight),
          .multiplies = layer.kind->multiplies,
          .rows = std::max<int64_t>(1, elements / outputs)};
}

/// A product is more like the work than a table of embeddings.
bool is_better(const Work::Sample& a, const Work::Sample& b) {
  const auto size = [](const Work::Sample& sample) {
    return sample.sizes.empty() ? 0 : c10::multiply_integers(sample.sizes);
  };
  return std::pair(a.multiplies, size(a)) > std::pair(b.multiplies, size(b));
}

}  // namespace

Work count_work(const std::vector<PartToTrain>& parts, const TrainingPlan& plan) {
  Work work;
  const bool trains = plan.recipe.trains(), searches = plan.recipe.start != StartRange::kScheme;
  const double share = 1.0 / static_cast<double>(plan.team->size());
  const double candidates = searches && trains ? 3 : 2;
  for (const PartPlan& own : plan.parts) {
    const PartFacts part(parts[own.part]);
    const auto batches = static_cast<int64_t>(parts[own.part].batches.size());
    const auto iterations = static_cast<double>(plan.iterations_over(batches));
    const double steps = iterations * static_cast<double>(plan.options.accumulate);
    const auto compared = static_cast<double>(plan.compared_batches(batches).size());
    for (const Block& block : own.blocks) {
      const std::vector<int32_t> trained = weights_to_train(part.sim, block);
      if (trained.empty()) continue;
      const double forward = flops_of(part, block) * share, a_batch = forward / static_cast<double>(batches);
      work.flops += 2 * forward + ((candidates - 1) * compared + kFlopsOfTraining * steps) * a_batch;
      for (const int32_t index : trained) {
        const QuantizedWeight& weight = part.sim.weights()[index];
        const auto count = static_cast<double>(c10::multiply_integers(part.sizes_of(weight.layer)));
        work.trained += count;
        work.searched += searches ? count : 0;
        work.encoded += candidates * count;
        work.visits += iterations * count;
        const Work::Sample sample = sample_of(part, weight);
        if (is_better(sample, work.sample)) work.sample = sample;
      }
    }
  }
  return work;
}

namespace {

constexpr int64_t kWeightsTimed = 1 << 21, kRowsTimed = 2048;
constexpr double kLeastSeconds = 0.2;

/// Random numbers of the sample's shape, cut along its stack and its channels.
at::Tensor slice_like(const Work::Sample& sample, c10::Device device) {
  std::vector<int64_t> sizes = sample.sizes;
  for (const int64_t axis : sample.axes.stack) sizes[axis] = 1;
  int64_t& channels = sizes[sample.axes.channel];
  channels = std::min(channels, std::max<int64_t>(1, kWeightsTimed / inputs_of(sample.sizes, sample.axes)));
  return at::randn(sizes, at::TensorOptions(sample.dtype).device(device));
}

/// Of one call, the first one left out. `work` returns a tensor, which is waited for; of a device that runs ahead, of
/// several calls the last.
double seconds_of(c10::Device device, const std::function<at::Tensor()>& work) {
  using Clock = std::chrono::steady_clock;
  const int calls_a_wait = traits_of(device).runs_ahead ? 32 : 1;
  const auto call = [&](int times) {
    for (int i = 1; i < times; ++i) work();
    work().flatten().slice(0, 0, 1).to(at::kCPU);
  };
  call(1);
  const auto start = Clock::now();
  int calls = 0;
  std::chrono::duration<double> passed{};
  while (passed.count() < kLeastSeconds) {
    call(calls_a_wait);
    calls += calls_a_wait;
    passed = Clock::now() - start;
  }
  return passed.count() / calls;
}

double seconds_a_flop(const Work::Sample& sample, const at::Tensor& slice, c10::ScalarType type) {
  const int64_t inputs = inputs_of(slice.sizes(), sample.axes), rows = std::min(sample.rows, kRowsTimed);
  const at::Tensor weight = slice.reshape({-1, inputs}).to(type);
  const at::Tensor x = at::randn({rows, inputs}, weight.options());
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(weight.numel());
  return seconds_of(x.device(), [&] { return at::linear(x, weight); }) / flops;
}

double seconds_of_step(const AdaScaleQuantizer& quantizer, const TrainingPlan& plan, c10::ScalarType type) {
  const auto learned = make_learned_weight(quantizer, step_rule(plan.recipe, plan.iterations), type);
  const at::AutoGradMode grad(true);
  const at::Tensor first = learned->weight();
  const at::Tensor gradient = at::randn_like(first.detach());
  return seconds_of(first.device(), [&] {
    const at::Tensor weight = learned->weight();
    weight.backward(gradient);
    learned->step(1);
    return weight.detach();
  });
}

}  // namespace

Speed measure_speed(const Work::Sample& sample, const TrainingPlan& plan, c10::Device device) {
  const at::NoGradGuard no_grad;
  const bool tf32 = plan.compute_type == at::kBFloat16 && traits_of(device).has_tf32;
  const FlagScope scope(device, {.tf32 = tf32, .deterministic = plan.options.deterministic});
  const c10::ScalarType compute = sample.takes_bfloat16 ? plan.compute_type : at::kFloat;
  const c10::ScalarType type = sample.dtype == at::kFloat ? compute : sample.dtype;
  const at::Tensor w = slice_like(sample, device);
  const auto count = static_cast<double>(w.numel());
  const Range range = min_max_range(w, sample.grid);
  const AdaScaleQuantizer quantizer(w, sample.grid, range, sample.has_s4 ? sample.axes.inputs.back() : -1);
  const at::Tensor importance = at::ones({}, w.options());
  const auto search = [&] { return weighted_sqnr_range(w, sample.grid, importance).max; };
  const bool searches = plan.recipe.start != StartRange::kScheme;
  return {.seconds_a_flop = seconds_a_flop(sample, w, type),
          .seconds_a_search = searches ? seconds_of(device, search) / count : 0,
          .seconds_a_code = seconds_of(device, [&] { return quantizer.encode("").codes; }) / count,
          .seconds_a_visit = plan.recipe.trains() ? seconds_of_step(quantizer, plan, compute) / count : 0};
}

double seconds_for(const Work& work, const Speed& speed) {
  return work.flops * speed.seconds_a_flop + work.searched * speed.seconds_a_search +
         work.encoded * speed.seconds_a_code + work.visits * speed.seconds_a_visit;
}

}  // namespace adascale
