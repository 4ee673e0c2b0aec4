#include "adascale/quant/step_rule.h"

#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace adascale {

RowRule rule_at(const StepRule& rule, double decay, int64_t step) {
  if (rule.update != UpdateRule::kAdam)
    return {rule.update, static_cast<float>(rule.scale_rate * decay),
            static_cast<float>(rule.rounding_rate * decay), 1};
  const double first = 1 - std::pow(0.9, step), second = 1 - std::pow(0.999, step);
  return {rule.update, static_cast<float>(rule.scale_rate * decay / first),
          static_cast<float>(rule.rounding_rate * decay / first), static_cast<float>(1 / std::sqrt(second))};
}

void Moments::add(RowLearnable& learnable, const at::Tensor& values) {
  if (!has_any_) return;
  for (float** moment : {&learnable.first, &learnable.second}) {
    tensors_.push_back(at::zeros_like(values.detach()));
    *moment = tensors_.back().mutable_data_ptr<float>();
  }
}

}  // namespace adascale
