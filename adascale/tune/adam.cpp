#include "adascale/tune/adam.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace adascale {

Adam::Adam(std::vector<at::Tensor> parameters, double learning_rate)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate) {
  for (const at::Tensor& parameter : parameters_) {
    first_moments_.push_back(at::zeros_like(parameter));
    second_moments_.push_back(at::zeros_like(parameter));
    steps_.push_back(at::zeros({}, parameter.options().dtype(at::kFloat)));
  }
}

std::vector<at::Tensor> Adam::state() const {
  std::vector<at::Tensor> all = first_moments_;
  all.insert(all.end(), second_moments_.begin(), second_moments_.end());
  all.insert(all.end(), steps_.begin(), steps_.end());
  return all;
}

void Adam::step(double decay) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (at::Tensor& parameter : parameters_) {
    const at::Tensor gradient = parameter.grad();
    gradients.push_back(gradient.defined() ? gradient
                                           : at::zeros_like(parameter));  // the loss does not reach it
    parameter.mutable_grad() = at::Tensor();
  }
  for (at::Tensor& step : steps_) step.add_(1);
  at::_fused_adam_(parameters_, gradients, first_moments_, second_moments_, {}, steps_,
                   learning_rate_ * decay, 0.9, 0.999, /*weight_decay=*/0, 1e-8, /*amsgrad=*/false,
                   /*maximize=*/false);
}

}  // namespace adascale
