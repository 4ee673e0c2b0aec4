#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>

#include "adascale/quant/affine.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/histogram.h"
#include "adascale/quant/schemes.h"

namespace adascale {
namespace {

constexpr double kPercentile = 99.99;

// The percentile of each row [rows, n] -> [rows], numpy's linear interpolation between the two nearest ranks.
at::Tensor upper_percentile(const at::Tensor& rows) {
  const int64_t n = rows.size(1);
  const double rank = (n - 1) * (kPercentile / 100);
  const auto below = static_cast<int64_t>(std::floor(rank));
  // Only the few values from `below` upwards need sorting.
  const at::Tensor top = std::get<0>(at::topk(rows, n - below, 1));
  const at::Tensor at_below = top.select(1, -1);
  if (n - below == 1) return at_below;
  return at_below + (top.select(1, -2) - at_below) * (rank - below);
}

// The values of each Q element as a row.
at::Tensor rows_of(const at::Tensor& split, const Grid& grid) {
  const std::vector<int64_t> shared = shared_axes(grid, split);
  std::vector<int64_t> order;
  int64_t rows = 1;
  for (int64_t axis = 0; axis < split.dim(); ++axis) {
    if (std::find(shared.begin(), shared.end(), axis) != shared.end()) continue;
    order.push_back(axis);
    rows *= split.size(axis);
  }
  order.insert(order.end(), shared.begin(), shared.end());
  return split.permute(order).reshape({rows, -1});
}

// The value below which `part` of all counts lie, evenly spread within its bin.
double value_at(const Histogram& histogram, double part) {
  const at::Tensor counts = histogram.counts(), cumulative = counts.cumsum(0);
  const double wanted = part * cumulative[-1].item<double>();
  const int64_t bin = std::min((cumulative < wanted).sum().item<int64_t>(), counts.numel() - 1);
  const double count = counts[bin].item<double>();
  const double into_bin = count > 0 ? 1 - (cumulative[bin].item<double>() - wanted) / count : 0;
  const at::Tensor edges = histogram.edges();
  const double low = edges[bin].item<double>(), high = edges[bin + 1].item<double>();
  return std::clamp(low + into_bin * (high - low), histogram.min(), histogram.max());
}

class PercentileAnalyzer : public RangeAnalyzer {
 public:
  void add(const at::Tensor& x, double min, double max) override { histogram_.add(x, min, max); }
  Range range(const Grid& grid) const override {
    histogram_.check_seen();
    const double low = value_at(histogram_, 1 - kPercentile / 100),
                 high = value_at(histogram_, kPercentile / 100);
    return range_around(at::scalar_tensor(low), at::scalar_tensor(high), grid);
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<RangeAnalyzer> make_percentile_analyzer() {
  return std::make_unique<PercentileAnalyzer>();
}

namespace {

Range range_of_whole_groups(const at::Tensor& w, const Grid& grid) {
  const at::Tensor split = split_groups(w.detach(), grid).to(at::toOpMathType(w.scalar_type()));
  const at::Tensor rows = rows_of(split, grid);
  const std::vector<int64_t> sizes = scale_sizes(w.sizes(), grid);
  return range_around(upper_percentile(rows.neg()).neg_().view(sizes), upper_percentile(rows).view(sizes),
                      grid);
}

}  // namespace

Range percentile_range(const at::Tensor& w, const Grid& grid) {
  check_finite("weight", w);
  if (missing_in_last_group(w.sizes(), grid) == 0) return range_of_whole_groups(w, grid);
  // Zeros behind the last group would move its percentiles.
  const int64_t axis = grid.group_axis, length = w.size(axis), last = length % grid.group_size;
  Grid of_last = grid;
  of_last.group_size = last;
  const Range short_one = range_of_whole_groups(w.narrow(axis, length - last, last), of_last);
  if (last == length) return short_one;
  const Range others = range_of_whole_groups(w.narrow(axis, 0, length - last), grid);
  return {at::cat({others.min, short_one.min}, axis), at::cat({others.max, short_one.max}, axis)};
}

}  // namespace adascale
