#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "adascale/kernels/row_terms.h"

namespace adascale {

/// How the learnables of a weight move in one iteration; rates before decay. The lengths of signed
/// steps are AdaScaleQuantizer::code_steps().
struct StepRule {
  UpdateRule update = UpdateRule::kStay;
  double scale_rate = 0;     ///< of beta and gamma
  double rounding_rate = 0;  ///< of s2, s3, s4
};

/// The rule of iteration `step`, from 1 on, as the kernels take it.
RowRule rule_at(const StepRule& rule, double decay, int64_t step);

/// Adam's moments of learnables that the kernels move. Other rules keep none.
class Moments {
 public:
  explicit Moments(UpdateRule update) : has_any_(update == UpdateRule::kAdam) {}
  /// Points `learnable` at two new ones, all zeros, each like its values.
  void add(RowLearnable& learnable, const at::Tensor& values);

 private:
  bool has_any_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace adascale
