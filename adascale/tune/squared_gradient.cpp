#include "adascale/tune/squared_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

namespace adascale {
namespace {

/// By row, how many times the square of the output's error is what independent changes would make of it:
/// E (change x)^2 / sum change^2 E x^2, where inputs go together by their mean alone. A row lies along the last dim.
at::Tensor error_beside_independent(const at::Tensor& change, const at::Tensor& mean_square,
                                    const at::Tensor& mean) {
  const at::Tensor squares = change.square();
  const at::Tensor independent = squares.mul(mean_square).sum(-1);
  const at::Tensor apart = squares.mul(mean_square.sub(mean.square()).clamp_min(0)).sum(-1);
  const at::Tensor together = change.mul(mean).sum(-1).square();
  return apart.add(together).div(independent).masked_fill(independent.eq(0), 1);
}

}  // namespace

/// [channels, stack, inputs]
at::Tensor SquaredGradient::by_channel(const at::Tensor& x) const {
  std::vector<int64_t> first = {axes_.channel == kNone ? 0 : axes_.channel}, sizes;
  int64_t stack = 1;
  for (const int64_t axis : axes_.stack) {
    first.push_back(axis);
    stack *= x.size(axis);
  }
  std::vector<int64_t> front(first.size());
  for (size_t i = 0; i < front.size(); ++i) front[i] = static_cast<int64_t>(i);
  return x.movedim(first, front).reshape({x.size(first.front()), stack, -1});
}

void SquaredGradient::add(const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  const at::Tensor squares = by_channel(gradient.to(at::kFloat).square());
  const at::Tensor channels = squares.sum({1, 2}, false, at::kDouble),
                   rest = squares.sum(at::IntArrayRef{0}, false, at::kDouble);
  channels_ = channels_.defined() ? channels_.add(channels) : channels;
  rest_ = rest_.defined() ? rest_.add(rest) : rest;
}

double SquaredGradient::times_change(const at::Tensor& change, const at::Tensor& mean_square,
                                     const at::Tensor& mean) const {
  if (!channels_.defined()) return 0;
  const at::NoGradGuard no_grad;
  const double all = channels_.sum().item<double>();
  if (all == 0) return 0;
  const at::Tensor rows = by_channel(change.to(at::kFloat));
  const auto beside = [&](const at::Tensor& x) { return by_channel(x.to(rows.options()).expand_as(change)); };
  const at::Tensor independent = rows.square().mul(rest_.to(at::kFloat)).sum(-1);
  const at::Tensor error = independent.mul(error_beside_independent(rows, beside(mean_square), beside(mean)));
  return error.sum(1).to(at::kDouble).dot(channels_).item<double>() / all;
}

}  // namespace adascale
