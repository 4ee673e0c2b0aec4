#include "adascale/quant/search.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

namespace adascale {
namespace {

// The tried shares of the full range: 0.975, 0.95, .. 0.35.
constexpr double kStep = 0.025;
constexpr int kTrials = 26;

struct Best {
  Range range;
  at::Tensor error;

  void offer(const Range& candidate, const at::Tensor& candidate_error) {
    const at::Tensor better = candidate_error < error;
    range.min = at::where(better, candidate.min, range.min);
    range.max = at::where(better, candidate.max, range.max);
    error = at::where(better, candidate_error, error);
  }
};

}  // namespace

Range search_range(const Range& widest, const Grid& grid, const RangeError& error) {
  Best best{widest, error(widest)};
  const auto shrink = [&](const Range& start, bool low_side, bool high_side) {
    for (int trial = 1; trial <= kTrials; ++trial) {
      const double part = 1 - kStep * trial;
      const Range candidate{low_side ? start.min * part : start.min,
                            high_side ? start.max * part : start.max};
      best.offer(candidate, error(candidate));
    }
  };
  shrink(widest, true, true);
  if (!grid.symmetric) {
    shrink({widest.min, best.range.max}, true, false);
    shrink({best.range.min, widest.max}, false, true);
  }
  return best.range;
}

Range better_by(const Range& a, const Range& b, const RangeError& error,
                const std::function<at::Tensor(const at::Tensor&)>& sum) {
  const at::Tensor better = sum(error(a)) < sum(error(b));
  return {at::where(better, a.min, b.min), at::where(better, a.max, b.max)};
}

}  // namespace adascale
