#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/group_kernels.h"
#include "adascale/quant/step_rule.h"

namespace adascale {

/// Trains a weight on a GPU as WeightPass does on a CPU: one kernel an iteration.
class GroupPass {
 public:
  /// Whether a weight of that grid, laid out in rows, can be trained so: a plain scale a channel or group, no s4.
  static bool takes(const Grid& row_grid, bool has_s4);
  /// The same of a quantizer; its learnables must be fp32.
  static bool takes(const AdaScaleState& state);
  /// What it asks of kernels. `output_type`: kFloat or kBFloat16, the block's compute dtype.
  static GroupVariant variant_of(const AdaScaleState& state, UpdateRule update, c10::ScalarType output_type);

  /// The learnables of `state` are updated in place, by a rule that moves them.
  GroupPass(const AdaScaleState& state, const StepRule& rule, c10::ScalarType output_type,
            std::shared_ptr<const GroupKernels> kernels);

  /// w_dq: a leaf of the weight's shape that collects its gradient. The same memory after every step.
  const at::Tensor& weight() const { return weight_; }
  /// One step from the gradient, which is cleared; does nothing without one. Rates are
  /// the rule's times `decay`.
  void step(double decay);

 private:
  AdaScaleState state_;  ///< shares the quantizer's tensors
  StepRule rule_;
  std::shared_ptr<const GroupKernels> kernels_;
  at::Tensor w_, min_, max_, start_scale_, scale_, offset_, shrink_, weight_;
  Moments moments_;
  GroupVisit visit_;
  int64_t steps_ = 0;
};

}  // namespace adascale
