#pragma once
#include <cstdint>
#include <memory>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/weight_pass.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// A weight in training: its value for the block, and its step after each backward pass.
class LearnedWeight {
 public:
  virtual ~LearnedWeight() = default;
  /// The quantized weight, of the weight's shape; the loss's gradient reaches the learnables through it.
  virtual at::Tensor weight() = 0;
  /// The tensors that collect gradients.
  virtual std::vector<at::Tensor> leaves() const = 0;
  /// One step from the gradients, which are cleared; the rates are the rule's times `decay`.
  virtual void step(double decay) = 0;
};

/// The recipe's rates per iteration of a budget of `iterations`, before decay. Signed steps share theirs
/// among the iterations, 64 or more.
StepRule step_rule(const Recipe& recipe, int64_t iterations);

/// Fused kernels where they can train the weight, else tensor operators and autograd. `quantizer`
/// must outlive it. `compute_type`: of the weight's layers, where the model is fp32.
std::unique_ptr<LearnedWeight> make_learned_weight(const AdaScaleQuantizer& quantizer, const StepRule& rule,
                                                   c10::ScalarType compute_type = c10::ScalarType::Float);
/// Tensor operators and autograd: for any device and dtype, and the reference in tests of the kernels.
std::unique_ptr<LearnedWeight> make_autograd_weight(const AdaScaleQuantizer& quantizer, const StepRule& rule);

/// Cosine decay from 1 at iteration 0 towards 0 at `total` (arXiv 1608.03983, eq. 5, one cycle).
double cosine_decay(int64_t iteration, int64_t total);

}  // namespace adascale
