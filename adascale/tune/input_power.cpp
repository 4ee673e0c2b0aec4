#include "adascale/tune/input_power.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "adascale/core/error.h"
#include "adascale/graph/grouped_products.h"
#include "adascale/quant/exact_division.h"

namespace adascale {
namespace {

constexpr double kLikeAll = 32;  // tokens like all experts', beside an expert's own

/// [positions, channels] of a layer's input, channels last, without padding where it has the mask's positions.
at::Tensor rows_kept(const at::Tensor& x, const at::Tensor& mask) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  if (!mask.defined() || x.dim() != 3 || x.sizes().slice(0, 2) != mask.sizes()) return rows;
  return rows.index_select(0, mask.reshape({-1}).nonzero().squeeze(-1));
}

/// Where experts share their scales, the error of the whole counts, and so do all their tokens alike.
bool has_scales_by_expert(const QuantizedWeight& weight) {
  const std::vector<int64_t>& stack = weight.layer.axes.stack;
  const std::vector<int64_t>& scaled = weight.grid.stack_axes;
  return stack.size() == 1 && std::ranges::find(scaled, stack.front()) != scaled.end();
}

/// Whether the node multiplies by the stack's matrices one by one, in their order: it reads all of the parameter as
/// [experts, in, out] or [experts, out, in].
bool reads_whole_stack(const Program& program, const Layer& layer, const Node& node, int64_t experts) {
  static const std::set<std::string> keep_all = {"aten::transpose", "aten::permute", "aten::to",
                                                 "aten::_to_copy", "aten::contiguous"};
  const Argument* weight = node.input(layer.kind->weight);
  if (weight == nullptr || weight->kind != Argument::Kind::kValue) return false;
  const std::vector<Dim>& sizes = program.values[weight->value].sizes;
  return sizes.size() == 3 && sizes[0].is_fixed() && sizes[0].size == experts &&
         std::ranges::all_of(layer.views, [&](NodeId view) {
           const std::string op = program.nodes[view].op();
           return keep_all.contains(op.substr(0, op.find('.')));
         });
}

/// The rows of each expert, of those that a grouped product takes sorted by expert.
std::vector<at::Tensor> rows_by_expert(const at::Tensor& rows, const at::Tensor& ends, int64_t experts) {
  std::vector<at::Tensor> found = rows.split_with_sizes(group_sizes(ends, experts, rows.size(0)));
  found.pop_back();  // no expert's
  return found;
}

/// [parts, channels] laid against the weight: a part belongs to its expert of the stack, the input channels of a group to
/// that group's outputs. Undefined where a layer reads a part of its parameter.
at::Tensor against_weight(const at::Tensor& power, const at::Tensor& weight, const WeightAxes& axes) {
  std::vector<int64_t> sizes, shape(weight.dim(), 1), order = axes.inputs;
  for (const int64_t axis : axes.inputs) sizes.push_back(shape[axis] = weight.size(axis));
  const int64_t inputs = c10::multiply_integers(sizes), groups = power.numel() / inputs;
  const bool by_expert = power.size(0) > 1;
  const int64_t parted = by_expert ? axes.stack.front() : axes.channel, along = weight.size(parted);
  if (groups * inputs != power.numel() || along % groups != 0) return {};
  if (by_expert && (power.size(0) != along || power.size(1) != inputs)) return {};
  at::Tensor spread = power;
  if (groups > 1) {
    spread = power.view({groups, inputs}).repeat_interleave(along / groups, 0);
    sizes.insert(sizes.begin(), shape[parted] = along);
    order.insert(order.begin(), parted);
  }
  // `order` holds the parameter's axis for each axis of `sizes`.
  std::vector<int64_t> ascending(order.size());
  std::iota(ascending.begin(), ascending.end(), 0);
  std::sort(ascending.begin(), ascending.end(), [&](int64_t a, int64_t b) { return order[a] < order[b]; });
  return spread.reshape(sizes).permute(ascending).reshape(shape);
}

}  // namespace

struct InputPower::Sums {
  at::Tensor moments;  ///< [parts, moments, channels]
  at::Tensor counts;   ///< [parts]
};

InputPower::InputPower(const QuantizationSimModel& sim, const std::vector<int32_t>& weights, int64_t sums,
                       bool has_means)
    : sim_(sim), has_means_(has_means) {
  for (const int32_t weight : weights) {
    const auto& layer = sim.weights()[weight].layer;
    if (!layer.kind->input.empty())
      for (const NodeId node : layer.alike) layer_of_[node] = layers_.size();
    const int64_t parts = has_scales_by_expert(sim.weights()[weight])
                              ? sim.state(layer.parameters.front()).size(layer.axes.stack.front())
                              : 1;
    layers_.push_back(
        {.weight = weight, .sums = std::vector<at::Tensor>(sums), .counts = at::zeros({parts}, at::kDouble)});
  }
}

/// [moments, channels]
at::Tensor InputPower::moments_of(const at::Tensor& rows) const {
  const at::Tensor squares = rows.square().sum(0);
  return has_means_ ? at::stack({squares, rows.sum(0)}) : squares.unsqueeze(0);
}

InputPower::Sums InputPower::sums_of_each(const std::vector<at::Tensor>& rows) const {
  std::vector<at::Tensor> moments, counts;
  for (const at::Tensor& own : rows) {
    moments.push_back(moments_of(own));
    counts.push_back(at::full({}, own.size(0), at::kDouble));
  }
  return {at::stack(moments), at::stack(counts)};
}

InputPower::Sums InputPower::sums_of(const Layer& layer, const Node& node, const Environment& environment,
                                     const at::Tensor& mask) const {
  const LayerKind& kind = *sim_.weights()[layer.weight].layer.kind;
  const Argument *input = node.input(kind.input), *ends = node.input("offs");
  ADA_ASSERT(input != nullptr && input->kind == Argument::Kind::kValue, "a layer without an input");
  const at::Tensor given = environment.tensor(input->value).to(at::kFloat),
                   x = given.movedim(std::max(kind.channel_dim, -given.dim()), -1);
  const int64_t parts = layer.counts.numel();
  const adascale::Layer& described = sim_.weights()[layer.weight].layer;
  if (parts > 1 && reads_whole_stack(sim_.program(), described, node, parts)) {
    if (is_grouped_product(node.op()) && x.dim() == 2 && ends != nullptr &&
        ends->kind == Argument::Kind::kValue)
      return sums_of_each(rows_by_expert(x, environment.tensor(ends->value), parts));
    if (x.dim() == 3 && x.size(0) == parts) return sums_of_each(x.unbind(0));
  }
  const at::Tensor rows = rows_kept(x, mask);  // every expert's
  return {moments_of(rows).expand({parts, -1, -1}), at::full({parts}, rows.size(0), at::kDouble)};
}

void InputPower::watch(int64_t batch, NodeId node, const Environment& environment, const at::Tensor& mask) {
  const auto found = layer_of_.find(node);
  if (found == layer_of_.end()) return;
  const at::NoGradGuard no_grad;
  Layer& layer = layers_[found->second];
  const Sums here = sums_of(layer, sim_.program().nodes[node], environment, mask);
  at::Tensor& sum = layer.sums[batch % static_cast<int64_t>(layer.sums.size())];
  sum = sum.defined() ? sum.add(here.moments) : here.moments;
  layer.counts.add_(here.counts.to(at::kCPU, at::kDouble));
}

/// A layer that is watched is watched in every batch, so the processes have the same sums.
void InputPower::add_over(Team& team) {
  std::vector<at::Tensor> totals;
  for (Layer& layer : layers_) {
    at::Tensor total;
    for (const at::Tensor& sum : layer.sums)
      if (sum.defined()) total = total.defined() ? total.add(sum) : sum;
    if (total.defined()) totals.push_back(total = total.contiguous());
    layer.sums = {total};
  }
  for (const Layer& layer : layers_) totals.push_back(layer.counts);
  team.add(totals);
}

/// Undefined for a kind without such an input, for the other call of a tied weight, and where it does not lie against the
/// weight.
at::Tensor InputPower::mean_of(Moment moment, const Layer& seen) const {
  const auto& layer = sim_.weights()[seen.weight].layer;
  const double count = seen.counts.sum().item<double>();
  if (count == 0) return {};
  const at::Tensor sums = seen.sums.front().select(1, moment);
  at::Tensor mean = divide_exactly(sums.sum(0, /*keepdim=*/true), count);
  if (seen.counts.numel() > 1)
    mean = sums.add(mean, kLikeAll) / seen.counts.add(kLikeAll).to(sums.options()).unsqueeze(1);
  return against_weight(mean, sim_.state(layer.parameters.front()), layer.axes);
}

std::vector<at::Tensor> InputPower::mean_squares() const {
  std::vector<at::Tensor> found;
  for (const Layer& seen : layers_) {
    const at::Tensor power = mean_of(kSquare, seen);
    found.push_back(power.defined() ? power : at::ones({}));
  }
  return found;
}

at::Tensor InputPower::mean(size_t place) const {
  ADA_ASSERT(has_means_, "means of inputs that were not kept");
  return mean_of(kValue, layers_[place]);
}

}  // namespace adascale
