#include "adascale/quant/grid.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/superblock.h"

namespace adascale {
namespace {

std::string axis_name(int64_t axis, size_t rank) {
  if (rank == 2) return axis == 0 ? "out_features" : "in_features";
  if (rank > 2 && axis < 2) return axis == 0 ? "out_channels" : "in_channels";
  return fmt::format("axis {}", axis);
}

// "96, 128 or 0 (per channel)": the divisors of `length` on either side of `wanted`, except 1.
std::string nearest_group_sizes(int64_t length, int64_t wanted) {
  int64_t below = std::min(wanted, length), above = wanted;
  while (below > 1 && length % below != 0) --below;
  while (above < length && length % above != 0) ++above;
  std::string sizes = below > 1 ? fmt::format("{}", below) : "";
  if (above > 1 && above <= length && above != below)
    sizes += (sizes.empty() ? "" : ", ") + fmt::format("{}", above);
  return sizes + (sizes.empty() ? "0 (per channel)" : " or 0 (per channel)");
}

void check_groups(const std::string& name, const Grid& grid, at::IntArrayRef sizes) {
  const auto rank = static_cast<int64_t>(sizes.size());
  ADA_CHECK(grid.group_size >= 0, "{}: group_size is {}; use a positive size or 0 (per channel)", name,
            grid.group_size);
  if (!grid.per_group()) return;
  ADA_CHECK(grid.per_channel(), "{}: group_size {} needs per-channel scales; use 0 or turn per-channel on",
            name, grid.group_size);
  ADA_CHECK(grid.group_axis >= 0 && grid.group_axis < rank && grid.group_axis != grid.channel_axis,
            "{}: group axis {} does not fit a weight of {} axes with channel axis {}", name, grid.group_axis,
            rank, grid.channel_axis);
  const int64_t length = sizes[grid.group_axis];
  ADA_CHECK(length % grid.group_size == 0, "{}: {} {} is not a multiple of group_size {}; use {}", name,
            axis_name(grid.group_axis, sizes.size()), length, grid.group_size,
            nearest_group_sizes(length, grid.group_size));
}

void check_block_scales(const std::string& name, const Grid& grid) {
  if (!grid.integer_block_scales()) return;
  ADA_CHECK(grid.per_group() && grid.symmetric,
            "{}: decompressed_bw (LPBQ) needs groups on a symmetric grid; "
            "set group_size and symmetric, or decompressed_bw 0",
            name);
}

void check_minimum(const std::string& name, const Grid& grid) {
  ADA_CHECK(!grid.float_minimum || (grid.per_group() && !grid.symmetric),
            "{}: a float minimum needs groups on an asymmetric grid; set group_size, and symmetric off",
            name);
}

void check_superblocks(const std::string& name, const Grid& grid, at::IntArrayRef sizes) {
  if (!grid.has_superblocks()) return;
  ADA_CHECK(grid.per_group() && grid.superblock_size % grid.group_size == 0,
            "{}: superblocks of {} are not whole groups of {}; use a group_size that divides them", name,
            grid.superblock_size, grid.group_size);
  ADA_CHECK(grid.block_scale_bits >= 2 && grid.block_scale_bits <= 8,
            "{}: superblocks have scales of {} bits, expected 2 to 8", name, grid.block_scale_bits);
  ADA_CHECK(grid.symmetric || grid.float_minimum,
            "{}: asymmetric superblocks have minima; an integer offset has no place in them", name);
  const int64_t length = sizes[grid.group_axis];
  ADA_CHECK(length % grid.superblock_size == 0,
            "{}: {} {} is not a multiple of {}, the length of a superblock; use a grid of plain groups", name,
            axis_name(grid.group_axis, sizes.size()), length, grid.superblock_size);
}

}  // namespace

std::vector<int64_t> Grid::scaled_axes() const {
  if (!per_channel()) return {};
  std::vector<int64_t> axes = stack_axes;
  axes.push_back(channel_axis);
  return axes;
}

// A value below 2^-60 is no signal; above it, 1/scale and scale^2 are still normal fp32
// numbers. fp16 ends at 2^-24.
double smallest_scale(c10::ScalarType stored) {
  return std::ldexp(1.0, stored == c10::ScalarType::Half ? -24 : -60);
}

std::string to_string(const Grid& grid) {
  const char* shape = grid.symmetric ? "symmetric" : grid.float_minimum ? "with minimum" : "asymmetric";
  const std::string kind = fmt::format("int{} {}", grid.bits, shape);
  if (grid.per_group())
    return fmt::format(
        "{}{} per group of {}{}", kind, grid.integer_block_scales() ? " LPBQ" : "", grid.group_size,
        grid.has_superblocks() ? fmt::format(", superblocks of {}", grid.superblock_size) : "");
  return kind + (grid.per_channel() ? " per channel" : " per tensor");
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
  check_block_scales(name, grid);
  check_minimum(name, grid);
  check_superblocks(name, grid, weight_sizes);
}

at::Tensor split_groups(const at::Tensor& w, const Grid& grid) {
  if (!grid.per_group()) return w;
  return w.unflatten(grid.group_axis, {w.size(grid.group_axis) / grid.group_size, grid.group_size});
}

std::vector<int64_t> split_axes(std::vector<int64_t> axes, const Grid& grid) {
  if (grid.per_group())
    for (int64_t& axis : axes) axis += axis > grid.group_axis ? 1 : 0;
  return axes;
}

at::Tensor join_groups(const at::Tensor& w, at::IntArrayRef weight_sizes) {
  return w.reshape(weight_sizes);
}

std::vector<int64_t> scale_sizes(at::IntArrayRef weight_sizes, const Grid& grid) {
  if (!grid.per_channel()) return {};
  std::vector<int64_t> sizes(weight_sizes.size(), 1);
  for (const int64_t axis : grid.scaled_axes()) sizes[axis] = weight_sizes[axis];
  if (grid.per_group()) {
    sizes[grid.group_axis] = weight_sizes[grid.group_axis] / grid.group_size;
    sizes.insert(sizes.begin() + grid.group_axis + 1, 1);
  }
  return sizes;
}

at::Tensor as_stored(const at::Tensor& scale, const Grid& grid) {
  const at::Tensor stored = scale.to(grid.scale_dtype).to(scale.scalar_type());
  return at::copysign(stored.abs().clamp_min_(smallest_scale(grid.scale_dtype)), scale);
}

BlockScales block_scales(const at::Tensor& scale, const Grid& grid) {
  const at::Tensor largest = scale.amax({grid.group_axis}, /*keepdim=*/true);
  const at::Tensor per_channel = as_stored(largest / grid.block_scale_max(), grid);
  return {(scale / per_channel).round_().clamp_(1, grid.block_scale_max()), per_channel};
}

at::Tensor storable_scale(const at::Tensor& scale, const Grid& grid) {
  if (grid.has_superblocks()) return product(superblock_scales(scale, grid), grid);
  if (!grid.integer_block_scales()) return as_stored(scale, grid);
  const auto [per_block, per_channel] = block_scales(scale, grid);
  return per_block * per_channel;
}

void check_scale(const at::Tensor& scale, const Grid& grid, const std::string& name) {
  ADA_CHECK(at::all(at::isfinite(scale)).item<bool>(),
            "{}: values are too large for {} with scales stored as {}; "
            "use more bits, exclude the layer (param_bw 32), or write a format of float32 scales",
            name, to_string(grid), c10::toString(grid.scale_dtype));
}

at::Tensor scale_of(const Range& range, const Grid& grid, const std::string& name) {
  const at::Tensor scale = storable_scale((range.max - range.min) / grid.steps(), grid);
  check_scale(scale, grid, name);
  return scale;
}

at::Tensor offset_from(const at::Tensor& position, const Grid& grid) {
  // A scale rounded down to a short dtype could push the code of zero past the last one.
  return position.round().clamp_(-grid.steps(), 0);
}

at::Tensor offset_of(const Range& range, const at::Tensor& scale, const Grid& grid) {
  return grid.symmetric ? at::zeros_like(scale) : offset_from(range.min / scale, grid);
}

namespace {

/// The step, of either sign, with which the codes reach min and max from zero: there is
/// one more code below zero.
at::Tensor shorter_step(const at::Tensor& min, const at::Tensor& max, const Grid& grid, double floor) {
  const at::Tensor upright = (max / grid.qmax()).maximum(min / grid.qmin()).clamp_min(floor);
  const at::Tensor reversed = (min / -grid.qmax()).maximum(max / -grid.qmin()).clamp_min(floor);
  return at::where(reversed < upright, -reversed, upright);
}

}  // namespace

Range range_around(const at::Tensor& min, const at::Tensor& max, const Grid& grid) {
  const double floor = smallest_scale(grid.scale_dtype);
  if (grid.symmetric && grid.has_superblocks()) {
    const at::Tensor delta = shorter_step(min, max, grid, floor);
    return {delta * grid.qmin(), delta * grid.qmax()};
  }
  if (grid.symmetric) {
    const at::Tensor delta = (max / grid.qmax()).maximum(min / grid.qmin()).clamp_min(floor);
    return {delta * grid.qmin(), delta * grid.qmax()};
  }
  const at::Tensor lowest = min.clamp_max(0);
  return {lowest, max.clamp_min(0).maximum(lowest + floor * grid.steps())};
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
