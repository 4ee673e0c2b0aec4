#include "adascale/tune/input_power.h"

#include <ATen/core/grad_mode.h>

#include <unordered_map>

#include "adascale/core/error.h"

namespace adascale {
namespace {

/// Squares summed over all dims but the channels', and how many there were.
struct Power {
  at::Tensor sum;
  int64_t count = 0;

  /// `channel_dim` counts from the end.
  void add(const at::Tensor& x, int64_t channel_dim) {
    const at::Tensor rows = x.to(at::kFloat).movedim(channel_dim, -1).flatten(0, -2);
    const at::Tensor squares = rows.square().sum(0);
    sum = sum.defined() ? sum.add(squares) : squares;
    count += rows.size(0);
  }
};

/// [channels] as it stands against the weight: the input channels of a group belong to that group's outputs.
at::Tensor against_weight(const at::Tensor& power, const at::Tensor& weight, const LayerKind& kind) {
  const int64_t inputs = weight.size(kind.input_axis), groups = power.numel() / inputs;
  std::vector<int64_t> shape(weight.dim(), 1);
  shape[kind.input_axis] = inputs;
  if (groups == 1) return power.view(shape);
  const int64_t outputs = shape[kind.channel_axis] = weight.size(kind.channel_axis);
  return power.view({groups, inputs}).repeat_interleave(outputs / groups, 0).view(shape);
}

}  // namespace

std::vector<at::Tensor> input_power(const QuantizationSimModel& sim, const Plan& plan,
                                    const InputSource& source, const std::vector<int32_t>& weights,
                                    int64_t batches) {
  const at::NoGradGuard no_grad;
  const Program& program = sim.program();
  std::vector<Power> powers(weights.size());
  std::unordered_map<NodeId, size_t> layer_of;
  for (size_t i = 0; i < weights.size(); ++i)
    for (const NodeId node : sim.weights()[weights[i]].layer.nodes) layer_of[node] = i;

  RunHooks hooks;
  hooks.load_state = [&](ValueId value) { return sim.load_state(value, SimMode::kFloat); };
  hooks.before = [&](NodeId node, const Environment& environment) {
    const auto layer = layer_of.find(node);
    if (layer == layer_of.end()) return;
    const Argument* input = program.nodes[node].input("input");
    ADA_ASSERT(input != nullptr && input->kind == Argument::Kind::kValue, "a layer without an input");
    const LayerKind& kind = *sim.weights()[weights[layer->second]].layer.kind;
    powers[layer->second].add(environment.tensor(input->value), kind.channel_dim);
  };
  for (int64_t batch = 0; batch < batches; ++batch) {
    Environment environment(program);
    for (const ValueId value : plan.feeds()) environment.set(value, source.fp(batch).get(value));
    plan.run(environment, hooks);
  }

  std::vector<at::Tensor> found;
  for (size_t i = 0; i < weights.size(); ++i) {
    const Layer& layer = sim.weights()[weights[i]].layer;
    const at::Tensor mean = powers[i].sum.div(static_cast<double>(powers[i].count));
    found.push_back(against_weight(mean, sim.state(layer.parameters.front()), *layer.kind));
  }
  return found;
}

}  // namespace adascale
