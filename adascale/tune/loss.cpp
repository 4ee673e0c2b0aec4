#include "adascale/tune/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>

#include <deque>
#include <map>
#include <set>

#include "adascale/sim/layer_kind.h"
#include "adascale/sim/weight_source.h"

namespace adascale {
namespace {

constexpr double kLeastShare = 1e-4;  // of the mean over all tokens: the least power
constexpr double kExponent = 0.7;     // of the power by which a token counts in its sample
constexpr double kTiny = 1e-30;       // all targets 0

at::Tensor squared_error(const at::Tensor& output, const at::Tensor& target) {
  return output.to(at::kFloat).sub(target.to(at::kFloat)).square();
}

}  // namespace

at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target) {
  const at::Tensor squared = squared_error(output, target);
  return squared.dim() < 2 ? squared.mean() : squared.sum(1).mean();
}

namespace {

bool fits(const at::Tensor& mask, const at::Tensor& values) {
  return mask.defined() && values.sizes() == mask.sizes();
}

/// Over those that a mask of their sizes keeps.
at::Tensor mean_over_tokens(const at::Tensor& values, const at::Tensor& mask) {
  if (!fits(mask, values)) return values.mean();
  return values.mul(mask).sum().div(mask.sum().clamp_min(1));
}

at::Tensor by_sample(const at::Tensor& values) {
  return values.dim() < 2 ? values.reshape({values.numel(), 1}) : values.flatten(1);
}

}  // namespace

at::Tensor token_power(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask) {
  const at::Tensor power = target.to(at::kFloat).square().mean(channel_dim);
  return power.maximum(mean_over_tokens(power, mask).mul(kLeastShare).clamp_min(kTiny));
}

at::Tensor relative_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                         const at::Tensor& mask) {
  const at::Tensor error = squared_error(output, target).mean(channel_dim);
  return mean_over_tokens(error.div(token_power(target, channel_dim, mask)), mask);
}

at::Tensor token_factors(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask) {
  const at::Tensor power = token_power(target, channel_dim, mask);
  const at::Tensor kept = fits(mask, power) ? mask.to(at::kFloat) : at::ones_like(power);
  const at::Tensor weight = by_sample(power.pow(kExponent).mul(kept)), tokens = by_sample(kept).sum(1, true);
  const at::Tensor of_samples =
      tokens.div(tokens.sum().clamp_min(1)).div(weight.sum(1, true).clamp_min(kTiny));
  return weight.mul(of_samples).view_as(power).div(power);
}

at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                          const at::Tensor& factors) {
  return squared_error(output, target).mean(channel_dim).mul(factors).sum();
}

namespace {

bool moves_dims(const std::string& op) {
  static const std::set<std::string> ops = {"aten::transpose", "aten::permute", "aten::movedim", "aten::t",
                                            "aten::view",      "aten::reshape", "aten::flatten", "aten::mT"};
  return ops.contains(op);
}

/// The node of the block that makes each value.
std::map<ValueId, NodeId> makers(const Program& program, const Block& block) {
  std::map<ValueId, NodeId> made_by;
  for (const NodeId node : block.nodes)
    for (const ValueId value : program.nodes[node].writes()) made_by[value] = node;
  return made_by;
}

/// The channel dim of a layer's output; 0 when the node is not a layer.
int64_t channel_dim_of(const Program& program, const Node& node) {
  for (const LayerKind* kind : layer_kinds_of_op(node.op())) {
    const Argument* weight = node.input(kind->weight);
    if (weight == nullptr) continue;
    const bool is_layer =
        weight->kind == Argument::Kind::kList ||
        (weight->kind == Argument::Kind::kValue && weight_source(program, weight->value).parameter != kNone);
    if (is_layer) return kind->channel_dim;
  }
  return 0;
}

}  // namespace

int64_t channel_dim_of(const Program& program, const Block& block, ValueId output) {
  const auto rank = static_cast<int64_t>(program.values[output].sizes.size());
  const auto made_by = makers(program, block);
  std::set<NodeId> seen;
  std::deque<ValueId> open{output};
  while (!open.empty()) {  // breadth first: the nearest layer
    const auto made = made_by.find(open.front());
    open.pop_front();
    if (made == made_by.end() || !seen.insert(made->second).second) continue;
    const Node& node = program.nodes[made->second];
    if (moves_dims(node.op())) return -1;
    if (const int64_t dim = channel_dim_of(program, node); dim != 0) return rank == 1 - dim ? dim : -1;
    for (const ValueId value : node.reads()) open.push_back(value);
  }
  return -1;
}

}  // namespace adascale
