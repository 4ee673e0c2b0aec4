#include "adascale/quant/refine.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>

#include "adascale/quant/affine.h"
#include "adascale/quant/fake_quantize.h"

namespace adascale {
namespace {

// The number of codes by which the range is widened before each fit: other codes give other fits.
constexpr double kEnds[] = {0, 0.4, -0.4, 0.8, -0.8, 1.2, -1.2, 0};

/// Sums over the elements that share a scale, weighted by importance.
class Sums {
 public:
  Sums(const at::Tensor& factor, std::vector<int64_t> axes) : factor_(factor), axes_(std::move(axes)) {}
  at::Tensor of(const at::Tensor& x) const { return (factor_ * x).sum(axes_, true); }
  at::Tensor of(const at::Tensor& x, const at::Tensor& y) const { return of(x * y); }
  at::Tensor all() const { return factor_.sum(axes_, true); }

 private:
  at::Tensor factor_;
  std::vector<int64_t> axes_;
};

/// Least squares of scale * c + minimum against the values.
Range fit(const at::Tensor& values, const at::Tensor& c, const Sums& sums, const Grid& grid) {
  const at::Tensor cc = sums.of(c, c), cv = sums.of(c, values);
  const at::Tensor through_zero = cv / cc;
  if (grid.symmetric) return {through_zero * grid.qmin(), through_zero * grid.qmax()};
  const at::Tensor n = sums.all(), sum_c = sums.of(c), sum_v = sums.of(values);
  const at::Tensor slope = (n * cv - sum_c * sum_v) / (n * cc - sum_c * sum_c);
  const at::Tensor minimum = (sum_v - slope * sum_c) / n;
  const at::Tensor scale = at::where(minimum > 0, through_zero, slope), min = minimum.clamp_max(0);
  return {min, min + scale * grid.steps()};
}

}  // namespace

Range refine_range(const Range& range, const at::Tensor& w, const at::Tensor& importance, const Grid& grid,
                   const RangeError& error) {
  const at::Tensor values = split_groups(w.detach(), grid).to(at::toOpMathType(w.scalar_type()));
  const Sums sums(split_groups(importance.expand_as(w), grid), shared_axes(grid, values));
  Range best = range;
  at::Tensor least = error(best);
  for (const double ends : kEnds) {
    const double part = 1 + ends / static_cast<double>(grid.steps());
    const Range start{best.min * part, best.max * part};
    const Range fitted = fit(values, nearest_codes(values, storable_affine(start, grid), grid), sums, grid);
    // Equal codes fit no scale, and a range of the opposite sign is invalid.
    const at::Tensor is_range = at::isfinite(fitted.min) & at::isfinite(fitted.max) &
                                ((fitted.max - fitted.min) * (best.max - best.min) > 0);
    const Range candidate{at::where(is_range, fitted.min, best.min),
                          at::where(is_range, fitted.max, best.max)};
    const at::Tensor candidate_error = error(candidate), better = candidate_error < least;
    best = {at::where(better, candidate.min, best.min), at::where(better, candidate.max, best.max)};
    least = at::where(better, candidate_error, least);
  }
  return best;
}

}  // namespace adascale
