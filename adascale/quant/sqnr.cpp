#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>

#include <memory>

#include "adascale/kernels/kernel_switch.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/histogram.h"
#include "adascale/quant/refine.h"
#include "adascale/quant/row_view.h"
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

namespace {

/// The same by the kernels, for a whole weight on a CPU.
class RowErrors {
 public:
  RowErrors(const at::Tensor& w, const Grid& grid, const at::Tensor& importance)
      : w_(w.to(at::kFloat).contiguous()), q_sizes_(scale_sizes(w.sizes(), grid)) {
    trial_.rows = w.dim() == 0 ? 1 : w.size(0);
    trial_.cols = w.numel() / trial_.rows;
    trial_.one_scale = !grid.per_channel();
    trial_.group = trial_.one_scale ? trial_.cols : w.numel() / c10::multiply_integers(q_sizes_);
    trial_.grid = row_grid(grid);
    trial_.w = data_of(w_);
    std::vector<int64_t> sizes = w.sizes().vec();
    trial_.importance_by_row = importance.dim() == w.dim() && w.dim() > 0 && importance.size(0) > 1;
    if (!sizes.empty() && !trial_.importance_by_row) sizes[0] = 1;
    importance_ = importance.to(at::kFloat).expand(sizes).contiguous();
    trial_.importance = data_of(importance_);
  }

  at::Tensor operator()(const Range& range, const Grid& grid) {
    const Affine affine = affine_of(range, grid, "weight");
    const auto data = [](const at::Tensor& t) { return t.defined() ? data_of(t) : nullptr; };
    const at::Tensor scale = affine.scale.contiguous();
    const at::Tensor errors = at::empty({trial_.rows, trial_.groups()}, w_.options());
    trial_.scale = data_of(scale), trial_.offset = data(affine.offset), trial_.error = data_of(errors);
    trial_.minimum = data(affine.minimum);
    const int64_t rows_per_task = std::max<int64_t>(1, (1 << 14) / trial_.cols);
    at::parallel_for(0, trial_.rows, rows_per_task,
                     [&](int64_t first, int64_t last) { find_errors(trial_, first, last); });
    return trial_.one_scale ? errors.sum() : errors.view(q_sizes_);
  }

 private:
  at::Tensor w_, importance_;
  std::vector<int64_t> q_sizes_;
  RangeTrial trial_;
};

}  // namespace

namespace {

/// The error of a trial range, summed over the elements that share a scale: one number per Q element.
RangeError range_error(const at::Tensor& w, const Grid& grid, const at::Tensor& importance) {
  if (kernels_are_on() && w.is_cpu() && w.scalar_type() != at::kDouble && rows_are_channels(grid)) {
    const auto errors = std::make_shared<RowErrors>(w.detach(), grid, importance);
    return [errors, grid](const Range& range) { return (*errors)(range, grid); };
  }
  const at::Tensor values = split_groups(w.detach(), grid).to(at::toOpMathType(w.scalar_type()));
  const at::Tensor factor = split_groups(importance.expand_as(w), grid);
  return [=, axes = shared_axes(grid, values)](const Range& range) {
    const at::Tensor quantized = fake_quantize(values, affine_of(range, grid, "weight"), grid);
    return (quantized - values).square_().mul_(factor).sum(axes, grid.per_channel());
  };
}

/// Errors of groups, [Q], as the sum over those that share a float: a channel's, or a superblock's.
at::Tensor sum_shared(const at::Tensor& errors, const Grid& grid) {
  if (!grid.has_superblocks()) return errors.sum({grid.group_axis}, true);
  const int64_t axis = grid.group_axis, groups = grid.superblock_size / grid.group_size;
  const at::Tensor sums = errors.unflatten(axis, {errors.size(axis) / groups, groups}).sum({axis + 1});
  return sums.repeat_interleave(groups, axis);
}

/// For each channel or superblock, the ranges of `searched` or of `widest`: those with
/// less error after sharing.
Range better_shared(const Range& searched, const Range& widest, const Grid& grid, const RangeError& error) {
  const at::Tensor better = sum_shared(error(searched), grid) < sum_shared(error(widest), grid);
  return {at::where(better, searched.min, widest.min), at::where(better, searched.max, widest.max)};
}

}  // namespace

Range weighted_sqnr_range(const at::Tensor& w, const Grid& grid, const at::Tensor& weights) {
  const at::Tensor importance = weights.to(w.device());
  const Range widest = min_max_range(w, grid);
  // The shared part of the groups is not known while each is searched.
  Grid apart = grid;
  apart.block_scale_bits = 0;
  apart.superblock_size = 0;
  const RangeError error = range_error(w, apart, importance);
  Range searched = search_range(widest, apart, error);
  if (grid.is_plain()) return searched;
  if (!grid.integer_block_scales()) searched = refine_range(searched, w, importance, apart, error);
  return grid.block_scale_bits == 0 ? searched
                                    : better_shared(searched, widest, grid, range_error(w, grid, importance));
}

}  // namespace adascale
