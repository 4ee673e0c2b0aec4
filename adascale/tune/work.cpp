#include "adascale/tune/work.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <unordered_map>

#include "adascale/device/flags.h"
#include "adascale/quant/schemes.h"
#include "adascale/tune/batch_sizes.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/trained_layers.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

constexpr double kFlopsOfTraining = 3;  // forward, and both gradients

/// Weights of one output channel: a convolution's kernel counts.
int64_t inputs_of(at::IntArrayRef sizes, const WeightAxes& axes) {
  int64_t inputs = 1;
  for (int64_t axis = 0; axis < static_cast<int64_t>(sizes.size()); ++axis)
    if (axis != axes.channel && std::count(axes.stack.begin(), axes.stack.end(), axis) == 0)
      inputs *= sizes[axis];
  return inputs;
}

/// The quantized weights of a block's layers, by node.
std::unordered_map<NodeId, int32_t> weights_of(const QuantizationSimModel& sim, const Block& block) {
  std::unordered_map<NodeId, int32_t> weights;
  for (size_t i = 0; i < sim.weights().size(); ++i)
    for (const NodeId node : sim.weights()[i].layer.nodes)
      if (std::count(block.layers.begin(), block.layers.end(), node) > 0)
        weights[node] = static_cast<int32_t>(i);
  return weights;
}

/// 1 where an equation sums all axes.
int64_t channels_of(const at::Tensor& parameter, const WeightAxes& axes) {
  return axes.channel == kNone ? 1 : parameter.size(axes.channel);
}

const at::Tensor& parameter_of(const QuantizationSimModel& sim, const Layer& layer) {
  return sim.program().state.at(layer.parameters.front());
}

/// Forward through the block's quantized layers, of all batches.
double flops_of(const PartToTrain& part, const Block& block) {
  const Program& program = part.sim.program();
  double flops = 0;
  for (const auto& [node, weight] : weights_of(part.sim, block)) {
    const Layer& layer = part.sim.weights()[weight].layer;
    if (!layer.kind->multiplies) continue;
    const Value& output = program.values[program.nodes[node].writes().front()];
    const double inputs = static_cast<double>(inputs_of(parameter_of(part.sim, layer).sizes(), layer.axes));
    for (const auto& [symbols, count] : count_sizes(program, part.batches))
      flops += 2.0 * inputs * static_cast<double>(count * elements_of(output, symbols));
  }
  return flops;
}

Work::Sample sample_of(const PartToTrain& part, const QuantizedWeight& weight) {
  const Program& program = part.sim.program();
  const at::Tensor& parameter = parameter_of(part.sim, weight.layer);
  const Value& output = program.values[program.nodes[weight.layer.nodes.front()].writes().front()];
  const int64_t elements = elements_of(output, count_sizes(program, part.batches).front().first);
  return {.sizes = parameter.sizes().vec(),
          .dtype = parameter.scalar_type(),
          .grid = weight.grid,
          .axes = weight.layer.axes,
          .has_s4 = weight.layer.kind->has_s4,
          .takes_bfloat16 = takes_bfloat16(part.sim, weight),
          .rows = std::max<int64_t>(1, elements / channels_of(parameter, weight.layer.axes))};
}

}  // namespace

Work count_work(const std::vector<PartToTrain>& parts, const TrainingPlan& plan) {
  Work work;
  const bool trains = plan.recipe.trains(), searches = plan.recipe.start != StartRange::kScheme;
  const double share = 1.0 / static_cast<double>(plan.team->size());
  const double candidates = searches && trains ? 3 : 2;
  int64_t largest = 0;
  for (const PartPlan& own : plan.parts) {
    const PartToTrain& part = parts[own.part];
    const auto batches = static_cast<int64_t>(part.batches.size());
    const auto iterations = static_cast<double>(plan.iterations_over(batches));
    const double steps = iterations * static_cast<double>(plan.options.accumulate);
    for (const Block& block : own.blocks) {
      const std::vector<int32_t> trained = weights_to_train(part.sim, block);
      if (trained.empty()) continue;
      const double forward = flops_of(part, block) * share, a_batch = forward / static_cast<double>(batches);
      work.flops += (1 + candidates) * forward + kFlopsOfTraining * steps * a_batch;
      for (const int32_t index : trained) {
        const QuantizedWeight& weight = part.sim.weights()[index];
        const int64_t numel = parameter_of(part.sim, weight.layer).numel();
        const auto count = static_cast<double>(numel);
        work.searched += searches ? count : 0;
        work.encoded += candidates * count;
        work.visits += iterations * count;
        if (numel <= largest) continue;
        largest = numel;
        work.sample = sample_of(part, weight);
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
  if (sample.axes.channel != kNone) {
    int64_t& channels = sizes[sample.axes.channel];
    channels = std::min(channels, std::max<int64_t>(1, kWeightsTimed / inputs_of(sizes, sample.axes)));
  }
  return at::randn(sizes, at::TensorOptions(sample.dtype).device(device));
}

/// Of one call, the first one left out. `work` returns a tensor, which is waited for.
double seconds_of(const std::function<at::Tensor()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto wait = [&] { work().flatten().slice(0, 0, 1).to(at::kCPU); };
  wait();
  const auto start = Clock::now();
  int calls = 0;
  std::chrono::duration<double> passed{};
  while (passed.count() < kLeastSeconds) {
    wait();
    ++calls;
    passed = Clock::now() - start;
  }
  return passed.count() / calls;
}

double seconds_a_flop(const Work::Sample& sample, const at::Tensor& slice, c10::ScalarType type) {
  const int64_t inputs = inputs_of(slice.sizes(), sample.axes), rows = std::min(sample.rows, kRowsTimed);
  const at::Tensor weight = slice.reshape({-1, inputs}).to(type);
  const at::Tensor x = at::randn({rows, inputs}, weight.options());
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(weight.numel());
  return seconds_of([&] { return at::linear(x, weight); }) / flops;
}

double seconds_of_step(const AdaScaleQuantizer& quantizer, const TrainingPlan& plan, c10::ScalarType type) {
  const auto learned = make_learned_weight(quantizer, step_rule(plan.recipe, plan.iterations), type);
  const at::AutoGradMode grad(true);
  const at::Tensor first = learned->weight();
  const at::Tensor gradient = at::randn_like(first.detach());
  return seconds_of([&] {
    const at::Tensor weight = learned->weight();
    weight.backward(gradient);
    learned->step(1);
    return weight.detach();
  });
}

}  // namespace

Speed measure_speed(const Work::Sample& sample, const TrainingPlan& plan, c10::Device device) {
  const at::NoGradGuard no_grad;
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
          .seconds_a_search = searches ? seconds_of(search) / count : 0,
          .seconds_a_code = seconds_of([&] { return quantizer.encode("").codes; }) / count,
          .seconds_a_visit = plan.recipe.trains() ? seconds_of_step(quantizer, plan, compute) / count : 0};
}

double seconds_for(const Work& work, const Speed& speed) {
  return work.flops * speed.seconds_a_flop + work.searched * speed.seconds_a_search +
         work.encoded * speed.seconds_a_code + work.visits * speed.seconds_a_visit;
}

}  // namespace adascale
