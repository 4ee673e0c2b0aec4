#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <memory>

#include "adascale/quant/affine.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/histogram.h"
#include "adascale/quant/row_layout.h"
#include "adascale/quant/schemes.h"
#include "adascale/quant/search.h"
#include "adascale/quant/slices.h"

namespace adascale {
namespace {

// Antiderivative of (t - n(t))^2, n the nearest step within lowest..highest: every whole step adds 1/12.
at::Tensor error_integral(const at::Tensor& t, double lowest, double highest) {
  const at::Tensor n = t.round().clamp_(lowest, highest);
  return n / 12 + (t - n).pow(3) / 3;
}

// The squared errors of a histogram's values: exact for values spread evenly inside each bin, whether a step spans many
// bins or a bin many steps.
class HistogramError {
 public:
  HistogramError(const Histogram& histogram, const Grid& grid)
      : grid_(grid), edges_(histogram.edges()), density_(histogram.counts() / edges_.diff()) {}

  at::Tensor operator()(const Range& range) const {
    const at::Tensor scale = scale_of(range, grid_, "activation");
    const double step = scale.item<double>();
    const double lowest = grid_.symmetric ? grid_.qmin() : offset_of(range, scale, grid_).item<double>();
    const at::Tensor integral = error_integral(edges_ / step, lowest, lowest + grid_.steps());
    return (density_ * integral.diff()).sum() * (step * step * step);
  }

 private:
  const Grid& grid_;
  at::Tensor edges_, density_;  ///< values for each unit of width
};

class SqnrAnalyzer : public RangeAnalyzer {
 public:
  void add(const at::Tensor& x, double min, double max) override { histogram_.add(x, min, max); }
  Range range(const Grid& grid) const override {
    const Range widest = histogram_.range(grid);
    return search_range(widest, grid, HistogramError(histogram_, grid));
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<RangeAnalyzer> make_sqnr_analyzer() {
  return std::make_unique<SqnrAnalyzer>();
}

Range sqnr_range(const at::Tensor& w, const Grid& grid) {
  return weighted_sqnr_range(w, grid, at::ones({}));
}

namespace {

/// As rows whose elements follow one another, the only ones that the kernels measure.
Range search_by_rows(const at::Tensor& w, const Grid& grid, const at::Tensor& importance) {
  const RowLayout layout(w.sizes(), grid);
  const Range widest = min_max_range(w, grid);
  const Range found = grid.form->search({layout.to_rows(widest.min), layout.to_rows(widest.max)},
                                        layout.grid(), {layout.to_rows(w), layout.to_rows(importance)});
  return {layout.from_rows(found.min), layout.from_rows(found.max)};
}

/// Of w's rank, and of w's size along all axes with scales if it is so along one.
at::Tensor spread(at::Tensor importance, const at::Tensor& w, const std::vector<int64_t>& scaled) {
  while (importance.dim() < w.dim()) importance = importance.unsqueeze(0);
  std::vector<int64_t> sizes = importance.sizes().vec();
  if (std::any_of(scaled.begin(), scaled.end(), [&](int64_t axis) { return sizes[axis] > 1; }))
    for (const int64_t axis : scaled) sizes[axis] = w.size(axis);
  return importance.to(w.device()).expand(sizes);
}

}  // namespace

Range weighted_sqnr_range(const at::Tensor& w, const Grid& grid, const at::Tensor& importance) {
  const std::vector<int64_t> scaled = grid.scaled_axes();
  const at::Tensor factor = spread(importance, w, scaled);
  if (scaled.empty()) return search_by_rows(w, grid, factor);
  const Slices slices(w.sizes(), grid);
  const bool differs = factor.size(scaled.front()) > 1;
  std::vector<at::Tensor> mins, maxes;
  for (size_t i = 0; i < slices.count(); ++i) {
    const Range found =
        search_by_rows(slices.weight(w, i), grid, differs ? slices.weight(factor, i) : factor);
    mins.push_back(found.min), maxes.push_back(found.max);
  }
  return {slices.join_scales(mins), slices.join_scales(maxes)};
}

}  // namespace adascale
