#pragma once
#include <ATen/core/Tensor.h>

#include <utility>

#include "adascale/sim/layers.h"

namespace adascale {

/// What a weight's gradients g say of any change of the weight: the sum of (sum_ij g_ij change_ij)^2 over gradients, with rows i
/// of output channels and columns j. Elements are taken as independent, but for the mean m of the layer's inputs, which all
/// columns of a row follow:
///
///   sum_i (sum_j F_ij change_ij^2 + a_i sum_{j != k} m_j change_ij m_k change_ik),
///   F_ij = sum g_ij^2,   a_i = sum (sum_{j != k} g_ij m_j g_ik m_k) / (sum_{j != k} m_j^2 m_k^2)
///
/// a is the least-squares fit of a m_j m_k to the products g_j g_k of different columns; a below 0 and rows below 0 are
/// noise and count as 0. m may be the mean until now: each gradient is fitted to the m it comes with.
/// F is kept as the product of its sums by output channel and by the rest over the sum of all: Adafactor's second moment
/// (arXiv 1804.04235, algorithm 2), in the memory of a row and a column. Each expert or head of a stack has its own a.
class SquaredGradient {
 public:
  explicit SquaredGradient(WeightAxes axes) : axes_(std::move(axes)) {}

  /// `gradient`: of one sample, of the weight's shape. `mean`: m, with as many axes as the weight, 1 or its size long, on its
  /// device; undefined: not known, taken as 0.
  void add(const at::Tensor& gradient, const at::Tensor& mean);
  /// The sum over gradients. `change`: of the weight's shape; `mean`: as before. 0 before any add().
  double times_change(const at::Tensor& change, const at::Tensor& mean) const;

 private:
  at::Tensor by_channel(const at::Tensor& x) const;
  at::Tensor laid_out(const at::Tensor& mean, const at::Tensor& weight) const;

  WeightAxes axes_;
  at::Tensor channels_, rest_;  // fp64 [channels, 1], [stack, inputs]: sums of squares
  at::Tensor along_mean_;       // fp64 [channels, stack]: a; undefined where no mean was known
};

}  // namespace adascale
