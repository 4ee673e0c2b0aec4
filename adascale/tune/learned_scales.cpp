#include "adascale/tune/learned_scales.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>

#include "adascale/graph/dataflow.h"
#include "adascale/quant/scaled_codes.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/precision.h"

namespace adascale {
namespace {

/// y = W x alone: one output, and no bias.
bool is_product(const Node& node) {
  const Argument* bias = node.input("bias");
  return node.op() == "aten::linear" && (bias == nullptr || bias->kind != Argument::Kind::kValue) &&
         node.writes().size() == 1;
}

std::set<ValueId> overwritten_storage(const Program& program, const Dataflow& flow) {
  std::set<ValueId> roots;
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node)
    for (const ValueId value : flow.overwrites(node)) roots.insert(flow.storage_root(value));
  return roots;
}

/// The outputs of a weight's layers, where a scale is one of their channels along the last dim and nothing is added: empty
/// where that does not hold for all that reads the weight.
std::vector<ValueId> outputs_times_scales(const Program& program, const QuantizedWeight& weight) {
  const Grid& grid = weight.encoding->grid;
  const bool is_by_channel =
      grid.channel_axis == 0 && !grid.per_group() && grid.stack_axes.empty() && !weight.encoding->minimum;
  if (!is_by_channel || weight.encoding->codes.dim() != 2 || !weight.layer.views.empty() ||
      !only_its_nodes_read(program, weight.layer))
    return {};
  std::vector<ValueId> outputs;
  for (const NodeId node : weight.layer.nodes) {
    if (!is_product(program.nodes[node])) return {};
    outputs.push_back(program.nodes[node].writes().front());
  }
  return outputs;
}

constexpr double kMinimumPart = 0.25;

void accumulate(const at::Tensor& learned, const at::Tensor& gradient) {
  const at::Tensor own = gradient.to(learned.scalar_type());
  at::Tensor& sum = learned.mutable_grad();
  sum = sum.defined() ? sum.add(own) : own;
}

}  // namespace

void LearnedScales::One::start(c10::Device device) {
  const Grid& grid = encoding.grid;
  const ScaleFloats floats = grid.form->floats(encoding);
  const auto zeros = [&](const at::Tensor& t) { return at::zeros_like(t, t.options().device(device)); };
  scale = encoding.scale.to(device);
  change.scale = zeros(floats.scale);
  if (scale.numel() > floats.scale.numel())
    in_a_row = scale.size(grid.group_axis) / floats.scale.size(grid.group_axis);
  if (!encoding.minimum) return;
  minimum = encoding.minimum->to(device);
  change.minimum = zeros(floats.minimum);
}

ScaleFloats LearnedScales::One::factors() const {
  if (!minimum.defined()) return {change.scale.exp(), {}};
  return {change.scale.exp(), change.scale.add(change.minimum, kMinimumPart).exp()};
}

at::Tensor LearnedScales::One::for_groups(const at::Tensor& of_floats) const {
  return in_a_row == 1 ? of_floats : of_floats.repeat_interleave(in_a_row, encoding.grid.group_axis);
}

at::Tensor LearnedScales::One::for_floats(const at::Tensor& of_groups) const {
  if (in_a_row == 1) return of_groups;
  const int64_t axis = encoding.grid.group_axis;
  return of_groups.unflatten(axis, {of_groups.size(axis) / in_a_row, in_a_row}).sum({axis + 1});
}

Encoding LearnedScales::One::now() const {
  Encoding rescaled = encoding;
  rescaled.parts.clear();
  rescaled = on(rescaled, scale.device());
  const ScaleFloats by = factors();
  rescaled.scale = scale.mul(for_groups(by.scale));
  if (minimum.defined()) rescaled.minimum = minimum.mul(for_groups(by.minimum));
  return rescaled;
}

void LearnedScales::One::add(const Leaf& leaf) const {
  const at::Tensor& gradient = leaf.weight.grad();
  at::Tensor of_scales = scale_gradient(leaf.now, gradient).mul(leaf.now.scale);
  if (minimum.defined()) {
    const at::Tensor of_minima = minimum_gradient(leaf.now, gradient).mul(*leaf.now.minimum);
    of_scales = of_scales.add(of_minima);
    accumulate(change.minimum, for_floats(of_minima).mul(kMinimumPart));
  }
  accumulate(change.scale, for_floats(of_scales));
}

LearnedScales::LearnedScales(const QuantizationSimModel& sim, const std::vector<int32_t>& weights)
    : by_state_(values_of_weights(sim, weights)) {
  const Dataflow flow(sim.program());
  const std::set<ValueId> overwritten = overwritten_storage(sim.program(), flow);
  for (const int32_t weight : weights) {
    std::vector<ValueId> outputs = outputs_times_scales(sim.program(), sim.weights()[weight]);
    if (std::ranges::any_of(outputs, [&](ValueId v) { return overwritten.contains(flow.storage_root(v)); }))
      outputs.clear();
    for (const ValueId output : outputs) by_output_[output] = all_.size();
    all_.push_back(
        {.weight = weight, .encoding = *sim.weights()[weight].encoding, .by_output = !outputs.empty()});
    all_.back().start(sim.program().device);
  }
}

std::vector<at::Tensor> LearnedScales::changes() const {
  std::vector<at::Tensor> changes;
  for (const One& one : all_) changes.push_back(one.change.scale);
  for (const One& one : all_)
    if (one.minimum.defined()) changes.push_back(one.change.minimum);
  return changes;
}

at::Tensor LearnedScales::load(ValueId state, c10::ScalarType type) {
  const auto found = by_state_.find(state);
  if (found == by_state_.end()) return {};
  One& one = all_[found->second];
  const bool notes = at::GradMode::is_enabled() && !one.by_output;
  const at::NoGradGuard no_grad;
  Encoding now = one.now();
  const at::Tensor weight = dequantize_as(now, type == at::kFloat ? one.encoding.source_dtype : type);
  if (notes) one.leaves.push_back({std::move(now), weight.requires_grad_()});
  return weight;
}

at::Tensor LearnedScales::watch(ValueId value, const at::Tensor& made) {
  const auto found = by_output_.find(value);
  if (found == by_output_.end() || !at::GradMode::is_enabled()) return made;
  // Of the first layers neither weight nor input has a gradient.
  const at::Tensor output = made.requires_grad() ? made : made.detach().requires_grad_();
  const at::Tensor y = output.detach();  // the tensor itself would hold its own hook
  output.register_hook([one = &all_[found->second], y](const at::Tensor& gradient) {
    if (!gradient.defined()) return gradient;
    const at::NoGradGuard no_grad;
    const at::Tensor terms = gradient.to(at::toOpMathType(gradient.scalar_type())).mul(y);
    accumulate(one->change.scale, terms.reshape({-1, y.size(-1)}).sum(0).view(one->change.scale.sizes()));
    return gradient;
  });
  return output;
}

void LearnedScales::collect(bool of_all) {
  const at::NoGradGuard no_grad;
  for (One& one : all_) {
    std::vector<Leaf> open;
    for (const Leaf& leaf : one.leaves) {
      if (leaf.weight.grad().defined())
        one.add(leaf);
      else
        open.push_back(leaf);
    }
    one.leaves = of_all ? std::vector<Leaf>() : std::move(open);
  }
}

void LearnedScales::round_to_stored() {
  const at::NoGradGuard no_grad;
  for (One& one : all_) {
    const GridForm& form = *one.encoding.grid.form;
    const ScaleFloats by = one.factors();
    ScaleFloats floats = form.floats(one.encoding);
    floats.scale = floats.scale.mul(by.scale.cpu());
    if (by.minimum.defined()) floats.minimum = floats.minimum.mul(by.minimum.cpu());
    form.replace_floats(one.encoding, floats);
    one.start(one.scale.device());
  }
}

std::map<int32_t, Encoding> LearnedScales::encodings() const {
  std::map<int32_t, Encoding> found;
  for (const One& one : all_) found.emplace(one.weight, one.encoding);
  return found;
}

}  // namespace adascale
