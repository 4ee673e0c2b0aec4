#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/sim/layers.h"

namespace adascale {

/// The sum of a weight's squared gradients, element by element, as the product of its sums by output channel and by the
/// rest over the sum of all: Adafactor's second moment (arXiv 1804.04235, algorithm 2), in the memory of a row and a column.
class SquaredGradient {
 public:
  explicit SquaredGradient(const WeightAxes& axes) : axis_(axes.channel == kNone ? 0 : axes.channel) {}

  /// Of one sample, of the weight's shape.
  void add(const at::Tensor& gradient);
  /// The sum over the weight of its products with the squares of `change`, of the weight's shape. 0 before any add().
  double times_squares(const at::Tensor& change) const;

 private:
  at::Tensor by_channel(const at::Tensor& squares) const;

  int64_t axis_;
  at::Tensor channels_, rest_;  // fp64
};

}  // namespace adascale
