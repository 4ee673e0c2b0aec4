#include "adascale/quant/grid.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

void check_groups(const std::string& name, const Grid& grid, at::IntArrayRef sizes) {
  const auto rank = static_cast<int64_t>(sizes.size());
  ADA_CHECK(grid.group_size >= 0, "{}: {} is {}; use a positive size or 0 (per channel)", name,
            option("group_size"), grid.group_size);
  if (!grid.per_group()) return;
  ADA_CHECK(grid.per_channel(), "{}: {} {} needs per-channel scales; use 0 or turn per-channel on", name,
            option("group_size"), grid.group_size);
  ADA_CHECK(grid.group_axis >= 0 && grid.group_axis < rank && grid.group_axis != grid.channel_axis,
            "{}: group axis {} does not fit a weight of {} axes with channel axis {}", name, grid.group_axis,
            rank, grid.channel_axis);
  const int64_t length = sizes[grid.group_axis];
  ADA_CHECK(
      length % grid.group_size == 0 || !grid.form->fixed(),
      "{}: {} {} is not a multiple of {}, the group of {}; give the layer another grid, or exclude it ({})",
      name, axis_name(grid.group_axis, sizes.size()), length, grid.group_size, grid.form->name(),
      how_to_exclude());
  ADA_CHECK(length % grid.group_size == 0 || grid.is_plain(), "{}: {} {} is not a multiple of {} {}; use {}",
            name, axis_name(grid.group_axis, sizes.size()), length, option("group_size"), grid.group_size,
            dividing_group_sizes(length, grid.group_size));
}

int64_t groups_of(at::IntArrayRef weight_sizes, const Grid& grid) {
  return (weight_sizes[grid.group_axis] + grid.group_size - 1) / grid.group_size;
}

}  // namespace

std::string axis_name(int64_t axis, size_t rank) {
  if (rank == 2) return axis == 0 ? "out_features" : "in_features";
  if (rank > 2 && axis < 2) return axis == 0 ? "out_channels" : "in_channels";
  return fmt::format("axis {}", axis);
}

std::vector<int64_t> Grid::scaled_axes() const {
  if (!per_channel()) return {};
  std::vector<int64_t> axes = stack_axes;
  axes.push_back(channel_axis);
  return axes;
}

std::string to_string(const Grid& grid) {
  return grid.form->describe(grid);
}

void check_grid(const std::string& name, const Grid& grid, at::IntArrayRef weight_sizes) {
  ADA_CHECK(grid.bits >= 2 && grid.bits <= 16, "{}: {} bits; use 2 to 16, or 32 for off", name, grid.bits);
  ADA_CHECK(c10::isFloatingType(grid.scale_dtype),
            "{}: scales stored as {}; use float32, float16 or bfloat16", name,
            c10::toString(grid.scale_dtype));
  ADA_CHECK(c10::multiply_integers(weight_sizes) > 0, "{}: the weight has no elements; exclude the layer",
            name);
  for (const int64_t axis : grid.scaled_axes())
    ADA_CHECK(axis < static_cast<int64_t>(weight_sizes.size()),
              "{}: channel axis {} does not fit a weight of {} axes", name, axis, weight_sizes.size());
  check_groups(name, grid, weight_sizes);
  grid.form->check(name, grid, weight_sizes);
}

int64_t missing_in_last_group(at::IntArrayRef weight_sizes, const Grid& grid) {
  if (!grid.per_group()) return 0;
  return groups_of(weight_sizes, grid) * grid.group_size - weight_sizes[grid.group_axis];
}

std::string dividing_group_sizes(int64_t length, int64_t wanted) {
  int64_t below = std::min(wanted, length), above = wanted;
  while (below > 1 && length % below != 0) --below;
  while (above < length && length % above != 0) ++above;
  std::string sizes = below > 1 ? fmt::format("{}", below) : "";
  if (above > 1 && above <= length && above != below)
    sizes += (sizes.empty() ? "" : ", ") + fmt::format("{}", above);
  return sizes + (sizes.empty() ? "0 (per channel)" : " or 0 (per channel)");
}

at::Tensor fill_last_group(const at::Tensor& w, const Grid& grid) {
  const int64_t missing = missing_in_last_group(w.sizes(), grid);
  if (missing == 0) return w;
  std::vector<int64_t> pads(2 * (w.dim() - grid.group_axis), 0);  // the last axis first
  pads.back() = missing;
  return at::constant_pad_nd(w, pads);
}

at::Tensor split_groups(const at::Tensor& w, const Grid& grid) {
  if (!grid.per_group()) return w;
  return fill_last_group(w, grid).unflatten(grid.group_axis, {groups_of(w.sizes(), grid), grid.group_size});
}

std::vector<int64_t> split_axes(std::vector<int64_t> axes, const Grid& grid) {
  if (grid.per_group())
    for (int64_t& axis : axes) axis += axis > grid.group_axis ? 1 : 0;
  return axes;
}

at::Tensor join_groups(const at::Tensor& w, at::IntArrayRef weight_sizes, const Grid& grid) {
  if (missing_in_last_group(weight_sizes, grid) == 0) return w.reshape(weight_sizes);
  const int64_t axis = grid.group_axis;
  return w.flatten(axis, axis + 1).narrow(axis, 0, weight_sizes[axis]);
}

std::vector<int64_t> scale_sizes(at::IntArrayRef weight_sizes, const Grid& grid) {
  if (!grid.per_channel()) return {};
  std::vector<int64_t> sizes(weight_sizes.size(), 1);
  for (const int64_t axis : grid.scaled_axes()) sizes[axis] = weight_sizes[axis];
  if (grid.per_group()) {
    sizes[grid.group_axis] = groups_of(weight_sizes, grid);
    sizes.insert(sizes.begin() + grid.group_axis + 1, 1);
  }
  return sizes;
}

std::vector<int64_t> shared_axes(const Grid& grid, const at::Tensor& split) {
  std::vector<int64_t> own = split_axes(grid.scaled_axes(), grid), axes;
  if (grid.per_group()) own.push_back(grid.group_axis);
  for (int64_t axis = 0; axis < split.dim(); ++axis)
    if (std::find(own.begin(), own.end(), axis) == own.end()) axes.push_back(axis);
  return axes;
}

Range on(const Range& range, c10::Device device) {
  return {range.min.to(device), range.max.to(device)};
}

}  // namespace adascale
