#include "adascale/tune/squared_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

namespace adascale {

/// [channels, rest]
at::Tensor SquaredGradient::by_channel(const at::Tensor& squares) const {
  const at::Tensor first = squares.movedim(axis_, 0);
  return first.reshape({first.size(0), -1});
}

void SquaredGradient::add(const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  const at::Tensor squares = by_channel(gradient.to(at::kFloat).square());
  const at::Tensor channels = squares.sum(1, false, at::kDouble), rest = squares.sum(0, false, at::kDouble);
  channels_ = channels_.defined() ? channels_.add(channels) : channels;
  rest_ = rest_.defined() ? rest_.add(rest) : rest;
}

double SquaredGradient::times_squares(const at::Tensor& change) const {
  if (!channels_.defined()) return 0;
  const at::NoGradGuard no_grad;
  const at::Tensor squares = by_channel(change.to(at::kFloat).square());
  const double all = channels_.sum().item<double>();
  if (all == 0) return 0;
  return squares.mv(rest_.to(at::kFloat)).to(at::kDouble).dot(channels_).item<double>() / all;
}

}  // namespace adascale
