#include "adascale/tune/loss.h"

#include <ATen/TensorOperators.h>

#include <deque>
#include <map>
#include <set>

#include "adascale/sim/layer_kind.h"
#include "adascale/sim/weight_source.h"

namespace adascale {
namespace {

constexpr double kLeastShare = 1e-4;  // of the mean over all tokens: the least divisor
constexpr double kOwnShare = 0.3;     // of a token's own power in the logarithm of its divisor
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

/// Over those that a mask of their sizes keeps.
at::Tensor mean_over_tokens(const at::Tensor& values, const at::Tensor& mask) {
  if (!mask.defined() || values.sizes() != mask.sizes()) return values.mean();
  return values.mul(mask).sum().div(mask.sum().clamp_min(1));
}

}  // namespace

at::Tensor token_divisor(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask) {
  const at::Tensor power = target.to(at::kFloat).square().mean(channel_dim);
  const at::Tensor least = mean_over_tokens(power, mask).mul(kLeastShare).clamp_min(kTiny);
  const at::Tensor log_power = power.maximum(least).log();
  return log_power.lerp(mean_over_tokens(log_power, mask), 1 - kOwnShare).exp();
}

at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                          const at::Tensor& mask) {
  const at::Tensor error = squared_error(output, target).mean(channel_dim);
  return mean_over_tokens(error.div(token_divisor(target, channel_dim, mask)), mask);
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
