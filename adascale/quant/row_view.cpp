#include "adascale/quant/row_view.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

constexpr int64_t kElementsPerTask = 1 << 14;

at::Tensor as_float(const at::Tensor& t) {
  return t.detach().to(at::kFloat).contiguous();
}

int64_t row_count(const at::Tensor& w) {
  return w.dim() == 0 ? 1 : w.size(0);
}

}  // namespace

Stored stored_as(c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::Float:
      return Stored::kFloat;
    case c10::ScalarType::BFloat16:
      return Stored::kBFloat16;
    case c10::ScalarType::Half:
      return Stored::kHalf;
    default:
      break;
  }
  ADA_ASSERT(false, "a dtype that the kernels don't store");
}

int64_t rows_per_task(int64_t cols) {
  return std::max<int64_t>(1, kElementsPerTask / cols);
}

float* data_of(const at::Tensor& t) {
  ADA_ASSERT(t.is_cpu(), "the kernels read the host's memory");
  return t.mutable_data_ptr<float>();
}

AffineTensors::AffineTensors(const at::Tensor& like, bool has_minimum)
    : scale(at::empty_like(like)), offset(at::zeros_like(like)), shrink(at::empty_like(like)) {
  if (has_minimum) minimum = at::empty_like(like);
}

RowAffine AffineTensors::pointers() const {
  return {data_of(scale), data_of(offset), data_of(shrink), minimum.defined() ? data_of(minimum) : nullptr};
}

Affine AffineTensors::find(const AdaScaleState& state) const {
  const at::NoGradGuard no_grad;
  Affine found = learned_affine(state);
  scale.copy_(found.scale);
  if (minimum.defined()) minimum.copy_(found.minimum);
  shrink.copy_(state.s3.neg().exp_());
  return found;
}

RowGrid row_grid(const Grid& grid) {
  return {static_cast<float>(grid.qmin()),
          static_cast<float>(grid.steps()),
          grid.symmetric,
          stored_as(grid.scale_dtype),
          static_cast<float>(smallest_scale(grid.scale_dtype)),
          grid.form == lpbq_form() ? static_cast<float>(int64_t{1} << grid.block_scale_bits) : 0};
}

bool rows_are_channels(const Grid& grid) {
  return grid.channel_axis <= 0 && grid.stack_axes.empty() && (!grid.per_group() || grid.group_axis == 1);
}

at::Tensor column_shrink(const AdaScaleState& state) {
  std::vector<int64_t> sizes = state.w.sizes().vec();
  sizes[0] = 1;
  return state.s4.detach().neg().exp().expand(sizes).reshape({-1}).contiguous();
}

RowView::RowView(const AdaScaleState& state)
    : w(as_float(state.w)),
      min(as_float(state.start.min)),
      max(as_float(state.start.max)),
      affine(min, state.grid.form->row_scales() == RowScales::kByForm && !state.grid.symmetric) {
  const Grid& grid = state.grid;
  rows.scales_apart = grid.form->row_scales() == RowScales::kByForm;
  rows.rows = row_count(w);
  rows.cols = w.numel() / rows.rows;
  rows.one_scale = !grid.per_channel();
  rows.group = rows.one_scale ? rows.cols : w.numel() / min.numel();
  rows.grid = row_grid(grid);
  rows.w = data_of(w), rows.min = data_of(min), rows.max = data_of(max);
  rows.s2.value = data_of(state.s2), rows.s3.value = data_of(state.s3);
  rows.beta.value = data_of(state.beta), rows.gamma.value = data_of(state.gamma);
  rows.now = rows.next = affine.pointers();
  if (!state.s4.defined()) return;
  columns = column_shrink(state);
  rows.column_now = rows.column_next = data_of(columns);
}

void RowView::write_to(const at::Tensor& output) {
  rows.output = output.mutable_data_ptr();
  rows.output_type = stored_as(output.scalar_type());
}

Affine RowView::quantize(const AdaScaleState& state) const {
  Affine found{.scale = affine.scale, .offset = state.grid.symmetric ? at::Tensor() : affine.offset};
  if (rows.scales_apart) found = affine.find(state);
  if (rows.one_scale) find_affine(rows, 0, 1);
  const bool by_rows = !rows.one_scale && !rows.scales_apart;
  at::parallel_for(0, rows.rows, rows_per_task(rows.cols), [&](int64_t first, int64_t last) {
    if (by_rows) find_affine(rows, first, last);
    quantize_rows(rows, first, last);
  });
  return found;
}

}  // namespace adascale
