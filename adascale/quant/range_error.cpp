#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <memory>

#include "adascale/kernels/kernel_switch.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/row_view.h"
#include "adascale/quant/search.h"

namespace adascale {
namespace {

/// By the kernels, for a whole weight on a CPU.
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
    at::parallel_for(0, trial_.rows, rows_per_task(trial_.cols),
                     [&](int64_t first, int64_t last) { find_errors(trial_, first, last); });
    return trial_.one_scale ? errors.sum() : errors.view(q_sizes_);
  }

 private:
  at::Tensor w_, importance_;
  std::vector<int64_t> q_sizes_;
  RangeTrial trial_;
};

bool kernels_measure(const at::Tensor& w, const Grid& grid) {
  return kernels_are_on() && w.is_cpu() && w.scalar_type() != at::kDouble && rows_are_channels(grid) &&
         grid.form->has_integer_codes();
}

}  // namespace

RangeError RangeSearch::error_on(const Grid& grid) const {
  if (kernels_measure(w, grid)) {
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

}  // namespace adascale
