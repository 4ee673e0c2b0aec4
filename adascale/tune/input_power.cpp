#include "adascale/tune/input_power.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "adascale/core/error.h"
#include "adascale/quant/exact_division.h"

namespace adascale {
namespace {

/// [positions, channels] of a layer's input, channels last, without padding where it has the mask's positions.
at::Tensor rows_kept(const at::Tensor& x, const at::Tensor& mask) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  if (!mask.defined() || x.dim() != 3 || x.sizes().slice(0, 2) != mask.sizes()) return rows;
  return rows.index_select(0, mask.reshape({-1}).nonzero().squeeze(-1));
}

/// [channels] laid against the weight: the input channels of a group belong to that group's
/// outputs. Where a layer reads a part of its parameter, all inputs count the same.
at::Tensor against_weight(const at::Tensor& power, const at::Tensor& weight, const WeightAxes& axes) {
  std::vector<int64_t> sizes, shape(weight.dim(), 1), order = axes.inputs;
  for (const int64_t axis : axes.inputs) sizes.push_back(shape[axis] = weight.size(axis));
  const int64_t inputs = c10::multiply_integers(sizes), groups = power.numel() / inputs;
  const int64_t outputs = weight.size(axes.channel);
  if (groups * inputs != power.numel() || outputs % groups != 0) return at::ones({});
  at::Tensor spread = power;
  if (groups > 1) {
    spread = power.view({groups, inputs}).repeat_interleave(outputs / groups, 0);
    sizes.insert(sizes.begin(), shape[axes.channel] = outputs);
    order.insert(order.begin(), axes.channel);
  }
  // `order` holds the parameter's axis for each axis of `sizes`.
  std::vector<int64_t> ascending(order.size());
  std::iota(ascending.begin(), ascending.end(), 0);
  std::sort(ascending.begin(), ascending.end(), [&](int64_t a, int64_t b) { return order[a] < order[b]; });
  return spread.reshape(sizes).permute(ascending).reshape(shape);
}

}  // namespace

InputPower::InputPower(const QuantizationSimModel& sim, const std::vector<int32_t>& weights, int64_t sums)
    : sim_(sim) {
  for (const int32_t weight : weights) {
    const auto& layer = sim.weights()[weight].layer;
    if (!layer.kind->input.empty())
      for (const NodeId node : layer.alike) layer_of_[node] = layers_.size();
    layers_.push_back({.weight = weight, .sums = std::vector<at::Tensor>(sums)});
  }
}

void InputPower::watch(int64_t batch, NodeId node, const Environment& environment, const at::Tensor& mask) {
  const auto found = layer_of_.find(node);
  if (found == layer_of_.end()) return;
  const at::NoGradGuard no_grad;
  Layer& layer = layers_[found->second];
  const LayerKind& kind = *sim_.weights()[layer.weight].layer.kind;
  const Argument* input = sim_.program().nodes[node].input(kind.input);
  ADA_ASSERT(input != nullptr && input->kind == Argument::Kind::kValue, "a layer without an input");
  const at::Tensor given = environment.tensor(input->value).to(at::kFloat),
                   x = given.movedim(std::max(kind.channel_dim, -given.dim()), -1);
  const at::Tensor rows = rows_kept(x, mask);
  const at::Tensor squares = rows.square().sum(0);
  at::Tensor& sum = layer.sums[batch % static_cast<int64_t>(layer.sums.size())];
  sum = sum.defined() ? sum.add(squares) : squares;
  layer.count += static_cast<double>(rows.size(0));
}

/// A layer that is watched is watched in every batch, so the processes have the same sums.
void InputPower::add_over(Team& team) {
  std::vector<at::Tensor> totals;
  at::Tensor counts = at::zeros({static_cast<int64_t>(layers_.size())}, at::kDouble);
  auto* count = counts.mutable_data_ptr<double>();
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    count[i] = layer.count;
    at::Tensor total;
    for (const at::Tensor& sum : layer.sums)
      if (sum.defined()) total = total.defined() ? total.add(sum) : sum;
    layer.sums = {total};
    if (total.defined()) totals.push_back(total);
  }
  totals.push_back(counts);
  team.add(totals);
  for (size_t i = 0; i < layers_.size(); ++i) layers_[i].count = count[i];
}

std::vector<at::Tensor> InputPower::mean_squares() const {
  std::vector<at::Tensor> found;
  for (const Layer& seen : layers_) {
    const auto& layer = sim_.weights()[seen.weight].layer;
    if (seen.count == 0) {  // a kind without such an input, or the other call of a tied weight
      found.push_back(at::ones({}));
      continue;
    }
    found.push_back(against_weight(divide_exactly(seen.sums.front(), seen.count),
                                   sim_.state(layer.parameters.front()), layer.axes));
  }
  return found;
}

}  // namespace adascale
