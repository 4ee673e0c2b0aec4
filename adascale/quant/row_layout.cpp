#include "adascale/quant/row_layout.h"

#include <algorithm>

namespace adascale {

RowLayout::RowLayout(at::IntArrayRef weight_sizes, const Grid& grid)
    : grid_(grid),
      row_grid_(grid),
      weight_rank_(static_cast<int64_t>(weight_sizes.size())),
      group_length_(grid.per_group() ? weight_sizes[grid.group_axis] : 0),
      missing_(missing_in_last_group(weight_sizes, grid)) {
  const std::vector<int64_t> axes = grid.scaled_axes();
  is_source_ = axes.empty() || axes == std::vector<int64_t>{0};
  if (is_source_) return;
  for (const int64_t axis : axes) in_front_.push_back(weight_sizes[axis]);
  row_grid_.channel_axis = 0;
  row_grid_.stack_axes.clear();
  row_grid_.group_axis = axis_of(grid.group_axis);
}

int64_t RowLayout::axis_of(int64_t axis) const {
  if (is_source_ || axis < 0) return axis;
  const std::vector<int64_t> axes = grid_.scaled_axes();
  const auto before = std::count_if(axes.begin(), axes.end(), [&](int64_t a) { return a < axis; });
  return axis - before + 1;
}

/// The axes of a tensor of that rank, those that go to the front first. A rank one above the
/// weight's: a Q with groups, or a split weight.
std::vector<int64_t> RowLayout::order(int64_t rank) const {
  std::vector<int64_t> axes = grid_.scaled_axes();
  if (rank > weight_rank_) axes = split_axes(std::move(axes), grid_);
  for (int64_t axis = 0; axis < rank; ++axis)
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) axes.push_back(axis);
  return axes;
}

at::Tensor RowLayout::to_rows(const at::Tensor& t) const {
  const bool is_short = missing_ > 0 && t.dim() == weight_rank_ && t.size(grid_.group_axis) == group_length_;
  const at::Tensor filled = is_short ? fill_last_group(t, grid_) : t;
  if (is_source_) return filled;
  return filled.permute(order(t.dim())).flatten(0, static_cast<int64_t>(in_front_.size()) - 1).contiguous();
}

at::Tensor RowLayout::from_rows(const at::Tensor& t) const {
  const at::Tensor source = is_source_ ? t : unpermuted(t);
  if (missing_ == 0 || source.dim() != weight_rank_) return source;
  return source.narrow(grid_.group_axis, 0, group_length_);
}

at::Tensor RowLayout::unpermuted(const at::Tensor& t) const {
  const at::Tensor unflattened = t.unflatten(0, in_front_);
  const std::vector<int64_t> forward = order(unflattened.dim());
  std::vector<int64_t> back(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) back[forward[i]] = static_cast<int64_t>(i);
  return unflattened.permute(back);
}

}  // namespace adascale
