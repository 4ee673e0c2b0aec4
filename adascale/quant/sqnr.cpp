#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>

#include <memory>

#include "adascale/quant/affine.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/histogram.h"
#include "adascale/quant/schemes.h"
#include "adascale/quant/search.h"

namespace adascale {
namespace {

// Antiderivative of (t - n(t))^2, n the nearest step within lowest..highest: every whole step adds 1/12.
at::Tensor error_integral(const at::Tensor& t, double lowest, double highest) {
  const at::Tensor n = t.round().clamp_(lowest, highest);
  return n / 12 + (t - n).pow(3) / 3;
}

// Exact for values spread evenly inside each bin, whether a step spans many bins or a bin many steps.
at::Tensor histogram_error(const Histogram& histogram, const Range& range, const Grid& grid) {
  const at::Tensor scale = scale_of(range, grid, "activation");
  const double step = scale.item<double>();
  const double lowest = grid.symmetric ? grid.qmin() : offset_of(range, scale, grid).item<double>();
  const at::Tensor integral = error_integral(histogram.edges() / step, lowest, lowest + grid.steps());
  return (histogram.counts() * integral.diff()).sum() * (step * step * step);
}

class SqnrAnalyzer : public RangeAnalyzer {
 public:
  void observe(const at::Tensor& x) override { histogram_.add(x); }
  Range range(const Grid& grid) const override {
    const auto error = [&](const Range& range) { return histogram_error(histogram_, range, grid); };
    return search_range(histogram_.range(grid), grid, error);
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

Range weighted_sqnr_range(const at::Tensor& w, const Grid& grid, const at::Tensor& importance) {
  return grid.form->search(min_max_range(w, grid), grid, {w, importance.to(w.device())});
}

}  // namespace adascale
