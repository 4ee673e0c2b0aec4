#include "adascale/tune/input_power.h"

#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

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

InputPower::InputPower(const QuantizationSimModel& sim, const std::vector<int32_t>& weights) : sim_(sim) {
  for (const int32_t weight : weights) {
    for (const NodeId node : sim.weights()[weight].layer.nodes) layer_of_[node] = layers_.size();
    layers_.push_back({.weight = weight});
  }
}

void InputPower::watch(NodeId node, const Environment& environment) {
  const auto found = layer_of_.find(node);
  if (found == layer_of_.end()) return;
  const at::NoGradGuard no_grad;
  Layer& layer = layers_[found->second];
  const Argument* input = sim_.program().nodes[node].input("input");
  ADA_ASSERT(input != nullptr && input->kind == Argument::Kind::kValue, "a layer without an input");
  const int64_t channel_dim = sim_.weights()[layer.weight].layer.kind->channel_dim;
  const at::Tensor x = environment.tensor(input->value).to(at::kFloat).movedim(channel_dim, -1);
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const at::Tensor squares = rows.square().sum(0);
  layer.sum = layer.sum.defined() ? layer.sum.add(squares) : squares;
  layer.count += rows.size(0);
}

std::vector<at::Tensor> InputPower::mean_squares() const {
  std::vector<at::Tensor> found;
  for (const Layer& seen : layers_) {
    const auto& layer = sim_.weights()[seen.weight].layer;
    ADA_CHECK(seen.count > 0,
              "{}: no batch reached it, so its inputs are unknown; give data that does, or exclude it",
              layer.name);
    found.push_back(against_weight(seen.sum.div(static_cast<double>(seen.count)),
                                   sim_.state(layer.parameters.front()), *layer.kind));
  }
  return found;
}

}  // namespace adascale
