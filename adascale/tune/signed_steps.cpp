#include "adascale/tune/signed_steps.h"

#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"

namespace adascale {

SignedSteps::SignedSteps(std::vector<at::Tensor> parameters, std::vector<at::Tensor> lengths, double rate)
    : parameters_(std::move(parameters)), lengths_(std::move(lengths)), rate_(rate) {
  ADA_ASSERT(lengths_.empty() || lengths_.size() == parameters_.size(), "a length for some parameters only");
}

void SignedSteps::step(double decay) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i];
    if (!parameter.grad().defined()) continue;  // the loss does not reach it
    // NaN where the gradient is not finite: its sign would hide that.
    const at::Tensor& gradient = parameter.grad();
    at::Tensor direction = gradient.sign().add_(gradient.mul(0));
    if (!lengths_.empty()) direction.mul_(lengths_[i]);
    parameter.sub_(direction, rate_ * decay);
    parameter.mutable_grad() = at::Tensor();
  }
}

}  // namespace adascale
