#include "adascale/tune/loss.h"

#include <ATen/TensorOperators.h>

#include "adascale/quant/layer_kind.h"

namespace adascale {
namespace {

constexpr double kLeastShare = 1e-4;  // of the mean over all tokens: what the smallest is taken for
constexpr double kTiny = 1e-30;       // all targets 0

at::Tensor squared_error(const at::Tensor& output, const at::Tensor& target) {
  return output.to(at::kFloat).sub(target.to(at::kFloat)).square();
}

}  // namespace

at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target) {
  const at::Tensor squared = squared_error(output, target);
  return squared.dim() < 2 ? squared.mean() : squared.sum(1).mean();
}

at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim) {
  const at::Tensor power = target.to(at::kFloat).square().mean(channel_dim);
  const at::Tensor least = power.mean().mul(kLeastShare).clamp_min(kTiny);
  return squared_error(output, target).mean(channel_dim).div(power.maximum(least)).mean();
}

int64_t channel_dim_of(const Program& program, const Block& block, ValueId output) {
  const auto rank = static_cast<int64_t>(program.values[output].sizes.size());
  for (const NodeId node : block.layers) {
    const LayerKind* kind = layer_kind_of_op(program.nodes[node].op());
    if (kind != nullptr && kind->channel_dim < -1 && rank == 1 - kind->channel_dim) return kind->channel_dim;
  }
  return -1;
}

}  // namespace adascale
