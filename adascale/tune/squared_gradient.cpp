#include "adascale/tune/squared_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "adascale/core/error.h"

namespace adascale {
namespace {

at::Tensor added(const at::Tensor& sum, const at::Tensor& more) {
  return sum.defined() ? sum.add(more) : more;
}

/// fp64 [channels, stack]
at::Tensor row_products(const at::Tensor& a, const at::Tensor& b) {
  return a.mul(b).sum(-1).to(at::kDouble);
}

/// Of the row's products a_j b_j, what they multiply to in pairs of different columns: sum_{j != k} a_j b_j a_k b_k.
at::Tensor in_pairs(const at::Tensor& a, const at::Tensor& squares_of_a, const at::Tensor& b) {
  return row_products(a, b).square().sub(row_products(squares_of_a, b.square()));
}

}  // namespace

/// [channels, stack, inputs], fp32
at::Tensor SquaredGradient::by_channel(const at::Tensor& x) const {
  ADA_ASSERT(axes_.channel != kNone, "a weight without output channels");
  std::vector<int64_t> from = {axes_.channel}, to(1 + axes_.stack.size());
  from.insert(from.end(), axes_.stack.begin(), axes_.stack.end());
  std::iota(to.begin(), to.end(), 0);
  int64_t stack = 1;
  for (const int64_t axis : axes_.stack) stack *= x.size(axis);
  return x.to(at::kFloat).movedim(from, to).reshape({x.size(axes_.channel), stack, -1});
}

/// The mean like by_channel(weight), with one channel where all have the same.
at::Tensor SquaredGradient::laid_out(const at::Tensor& mean, const at::Tensor& weight) const {
  std::vector<int64_t> sizes = weight.sizes().vec();
  if (mean.size(axes_.channel) == 1) sizes[axes_.channel] = 1;
  return by_channel(mean.expand(sizes));
}

void SquaredGradient::add(const at::Tensor& gradient, const at::Tensor& mean) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = by_channel(gradient), squares = rows.square();
  channels_ = added(channels_, squares.sum({1, 2}, false, at::kDouble).unsqueeze(1));
  rest_ = added(rest_, squares.sum(at::IntArrayRef{0}, false, at::kDouble));
  if (!mean.defined()) return;
  const at::Tensor m = laid_out(mean, gradient), of_mean = in_pairs(m, m.square(), m);
  along_mean_ = added(along_mean_, in_pairs(rows, squares, m).div(of_mean).masked_fill(of_mean.eq(0), 0));
}

double SquaredGradient::times_change(const at::Tensor& change, const at::Tensor& mean) const {
  if (!channels_.defined()) return 0;
  const at::NoGradGuard no_grad;
  const double all = channels_.sum().item<double>();
  if (all == 0) return 0;
  const at::Tensor rows = by_channel(change), squares = rows.square();
  at::Tensor of_rows = channels_.mul(row_products(squares, rest_.to(at::kFloat))).div(all);
  // Both are estimates, and a sum of squares is not negative.
  if (along_mean_.defined())
    of_rows = of_rows.add(along_mean_.clamp_min(0).mul(in_pairs(rows, squares, laid_out(mean, change))))
                  .clamp_min(0);
  return of_rows.sum().item<double>();
}

}  // namespace adascale
