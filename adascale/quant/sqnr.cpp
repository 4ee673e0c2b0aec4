#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>

#include "adascale/quant/fake_quantize.h"
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
  const at::Tensor values = split_groups(w.detach(), grid).to(at::toOpMathType(w.scalar_type()));
  const at::Tensor factor = split_groups(importance.expand_as(w), grid);
  const std::vector<int64_t> axes = shared_axes(grid, values);
  const auto error = [&](const Range& range) {
    const at::Tensor scale = scale_of(range, grid, "weight");
    const at::Tensor quantized = fake_quantize(values, scale, offset_of(range, scale, grid), grid);
    return (quantized - values).square_().mul_(factor).sum(axes, grid.per_channel());
  };
  return search_range(min_max_range(w, grid), grid, error);
}

}  // namespace adascale
