#include <ATen/OpMathType.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/schemes.h"

namespace adascale {
namespace {

class MinMaxAnalyzer : public RangeAnalyzer {
 public:
  void add(const at::Tensor&, double min, double max) override {
    min_ = std::min(min_.value_or(min), min);
    max_ = std::max(max_.value_or(max), max);
  }

  Range range(const Grid& grid) const override {
    ADA_CHECK(min_, "activation: no values were seen; run the model on at least one sample first");
    return range_around(at::scalar_tensor(*min_), at::scalar_tensor(*max_), grid);
  }

 private:
  std::optional<double> min_, max_;
};

}  // namespace

std::unique_ptr<RangeAnalyzer> make_min_max_analyzer() {
  return std::make_unique<MinMaxAnalyzer>();
}

Range min_max_range(const at::Tensor& w, const Grid& grid) {
  check_finite("weight", w);
  const at::Tensor split = split_groups(w.detach(), grid);
  const std::vector<int64_t> axes = shared_axes(grid, split);
  const bool keep = grid.per_channel();
  const auto wide = [&](const at::Tensor& extremes) {
    return extremes.to(at::toOpMathType(w.scalar_type()));
  };
  return range_around(wide(split.amin(axes, keep)), wide(split.amax(axes, keep)), grid);
}

}  // namespace adascale
