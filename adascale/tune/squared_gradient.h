#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/sim/layers.h"

namespace adascale {

/// The sum of a weight's squared gradients, element by element, as the product of its sums by output channel and by the
/// rest over the sum of all: Adafactor's second moment (arXiv 1804.04235, algorithm 2), in the memory of a row and a column.
class SquaredGradient {
 public:
  explicit SquaredGradient(const WeightAxes& axes) : axes_(axes) {}

  /// Of one sample, of the weight's shape.
  void add(const at::Tensor& gradient);
  /// The sum over gradients of the square of their product with `change`, of the weight's shape, if products with each
  /// element of an output channel are independent but for the mean of the channel's inputs. `mean_square` and `mean` are
  /// those of the inputs (InputPower), and broadcast to the weight's shape: a change that shifts the output of the mean input
  /// counts by that shift. 0 before any add().
  double times_change(const at::Tensor& change, const at::Tensor& mean_square, const at::Tensor& mean) const;

 private:
  at::Tensor by_channel(const at::Tensor& x) const;

  WeightAxes axes_;
  at::Tensor channels_, rest_;  // fp64 [channels], [stack, inputs]
};

}  // namespace adascale
