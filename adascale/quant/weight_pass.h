#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/step_rule.h"

namespace adascale {

/// Whether the fused kernels can train this weight: on a CPU, with fp32 learnables, the channel
/// axis first or missing, on a grid of integers.
bool kernels_take(const AdaScaleState& state);

/// w_dq, scale and offset of the present state, by the kernels. The same bits for any number of threads.
FakeQuantized quantize_by_rows(const AdaScaleState& state);

/// Trains a weight without autograd inside it: one visit per row does backward of the
/// fake-quantizer, the update and the next w_dq (one visit more where s4 or a scale is shared by all
/// rows, and one where the grid's form finds the scales). The same with tensors and autograd is
/// AdaScaleQuantizer's expression and tune/learned_weight; tests compare the two.
class WeightPass {
 public:
  /// The learnables of `state` are updated in place, by a rule that moves them. `output_type`:
  /// kFloat or kBFloat16, the block's compute dtype.
  WeightPass(const AdaScaleState& state, const StepRule& rule, c10::ScalarType output_type);
  ~WeightPass();
  WeightPass(WeightPass&&) noexcept;

  /// w_dq: a leaf of the weight's shape that collects its gradient. The same memory after every step.
  const at::Tensor& weight() const;
  /// One step from the gradient, which is cleared; does nothing without one. Rates are
  /// the rule's times `decay`.
  void step(double decay);

 private:
  struct Rows;
  std::unique_ptr<Rows> rows_;
};

}  // namespace adascale
