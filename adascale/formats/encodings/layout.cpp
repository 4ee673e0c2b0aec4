#include "adascale/formats/encodings/layout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "adascale/formats/encodings/record.h"
#include "adascale/quant/forms/lpbq.h"

namespace adascale {
namespace {

using Sizes = std::vector<int64_t>;

/// The sizes of the scales, in the weight's rank.
Sizes joined_sizes(at::IntArrayRef weight_sizes, const Grid& grid) {
  Sizes sizes = scale_sizes(weight_sizes, grid);
  if (grid.per_group()) sizes.erase(sizes.begin() + grid.group_axis + 1);
  return sizes;
}

int64_t count_channels(at::IntArrayRef weight_sizes, const Grid& grid) {
  int64_t count = 1;
  for (const int64_t axis : grid.scaled_axes()) count *= weight_sizes[axis];
  return count;
}

int64_t count_scales(const FileEntry& entry) {
  return static_cast<int64_t>(entry.block_scales.empty() ? entry.scales.size() : entry.block_scales.size());
}

bool divides(int64_t part, int64_t whole) {
  return part > 0 && whole % part == 0;
}

/// The grids that the scales may belong to, the simulation's own first.
std::vector<Grid> possible_layouts(const FileEntry& entry, const QuantizedWeight& weight,
                                   at::IntArrayRef sizes) {
  const WeightAxes& axes = weight.layer.axes;
  std::vector<Grid> layouts;
  if (missing_in_last_group(sizes, weight.grid) == 0) {  // files have no short groups
    Grid& own = layouts.emplace_back();
    own.channel_axis = weight.grid.channel_axis;
    own.stack_axes = weight.grid.stack_axes;
    own.group_axis = weight.grid.group_axis;
    own.group_size = weight.grid.group_size;
  }
  layouts.emplace_back();  // per tensor
  if (axes.channel == kNone) return layouts;
  Grid grid;
  grid.channel_axis = axes.channel;
  grid.stack_axes = axes.stack;
  layouts.push_back(grid);
  if (axes.inputs.empty()) return layouts;
  grid.group_axis = axes.inputs.back();
  const int64_t length = sizes[grid.group_axis], channels = count_channels(sizes, grid);
  const int64_t blocks = divides(channels, count_scales(entry)) ? count_scales(entry) / channels : 0;
  grid.group_size = entry.block_size > 0 ? entry.block_size : divides(blocks, length) ? length / blocks : 0;
  if (divides(grid.group_size, length)) layouts.push_back(grid);
  return layouts;
}

/// One block per channel may be left out.
bool fits_block(const FileEntry& entry, const Grid& grid, at::IntArrayRef sizes) {
  return entry.block_size == block_size_of(grid, sizes) ||
         (entry.block_size == 0 && has_one_block(grid, sizes));
}

bool fits_axis(const FileEntry& entry, const Grid& grid, at::IntArrayRef sizes) {
  if (!fits_block(entry, grid, sizes)) return false;
  if (!entry.axis) return count_scales(entry) == 1;
  const auto rank = static_cast<int64_t>(sizes.size());
  const int64_t axis = *entry.axis < 0 ? *entry.axis + rank : *entry.axis;
  if (entry.block_size > 0)
    return axis == block_axis_of(grid, rank) && entry.shape == joined_sizes(sizes, grid);
  return axis == grid.channel_axis && entry.shape.size() == 1;
}

bool fits_type(const FileEntry& entry, const Grid& grid, at::IntArrayRef sizes) {
  if (entry.type == "PER_TENSOR") return count_scales(entry) == 1;
  return grid.per_channel() && fits_block(entry, grid, sizes);
}

bool fits(const FileEntry& entry, const Grid& grid, at::IntArrayRef sizes) {
  if (count_scales(entry) != c10::multiply_integers(joined_sizes(sizes, grid))) return false;
  const bool is_lpbq = !entry.block_scales.empty();
  if (is_lpbq &&
      (!grid.per_group() || static_cast<int64_t>(entry.scales.size()) != count_channels(sizes, grid)))
    return false;
  if (entry.says_axis) return fits_axis(entry, grid, sizes);
  return entry.type.empty() || fits_type(entry, grid, sizes);
}

std::string expected_text(const QuantizedWeight& weight, at::IntArrayRef sizes) {
  const WeightAxes& axes = weight.layer.axes;
  std::string text = "1 (per tensor)";
  if (axes.channel == kNone) return text;
  Grid grid;
  grid.channel_axis = axes.channel;
  grid.stack_axes = axes.stack;
  const int64_t channels = count_channels(sizes, grid);
  text += fmt::format(", {} (per channel along axis {})", channels, axes.channel);
  if (!axes.inputs.empty())
    text += fmt::format(" or {} times the number of equal blocks along axis {}, {} long", channels,
                        axes.inputs.back(), sizes[axes.inputs.back()]);
  return text;
}

std::string said_text(const FileEntry& entry) {
  std::string text = fmt::format("{} scales", count_scales(entry));
  if (!entry.type.empty()) text += ", " + entry.type;
  if (entry.shape.size() > 1) text += fmt::format(" of shape {}", fmt::join(entry.shape, "x"));
  if (entry.axis) text += fmt::format(", axis {}", *entry.axis);
  if (entry.block_size > 0) text += fmt::format(", block_size {}", entry.block_size);
  return text;
}

Grid layout_of(const FileEntry& entry, const QuantizedWeight& weight, at::IntArrayRef sizes) {
  for (const Grid& grid : possible_layouts(entry, weight, sizes))
    if (fits(entry, grid, sizes)) return grid;
  fail("{}: got {}, which do not fit a weight of {}; expected {}", entry.where, said_text(entry),
       fmt::join(sizes, "x"), expected_text(weight, sizes));
}

/// 2.x does not say whether it is symmetric. The type or the simulation then
/// decides for a grid around zero.
bool is_symmetric(const FileEntry& entry, const Grid& grid_of_sim) {
  if (entry.symmetric) return *entry.symmetric;
  const int64_t around_zero = -(int64_t{1} << (entry.bits - 1));
  const bool is_around_zero = std::all_of(entry.lowest.begin(), entry.lowest.end(),
                                          [&](int64_t lowest) { return lowest == around_zero; });
  return is_around_zero && (entry.is_signed || grid_of_sim.symmetric);
}

/// The bits of LPBQ's integers: the file's, else the simulation's, or as many as the codes have
/// (AIMET's usual), if they hold the largest.
int block_scale_bits_of(const FileEntry& entry, const Grid& grid_of_sim) {
  if (entry.block_scale_bits > 0) return entry.block_scale_bits;
  const auto largest = *std::max_element(entry.block_scales.begin(), entry.block_scales.end());
  const int needed = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(largest - 1))));
  const int bits_of_sim = grid_of_sim.form == lpbq_form() ? grid_of_sim.block_scale_bits : 0;
  for (const int bits : {bits_of_sim, entry.bits})
    if (bits >= needed) return bits;
  return needed;
}

template <class T>
at::Tensor filled(const std::vector<T>& values, const Sizes& sizes, c10::ScalarType dtype) {
  if (values.size() == 1) return at::full(sizes, static_cast<double>(values.front()), dtype);
  return at::tensor(values).to(dtype).view(sizes);
}

void set_block_scales(Encoding& encoding, int bits, const at::Tensor& per_block,
                      const at::Tensor& per_channel) {
  encoding.grid.form = lpbq_form();
  encoding.grid.block_scale_bits = bits;
  encoding.parts = {{kBlockScaleInt, per_block.to(c10::ScalarType::Short)}, {kChannelScale, per_channel}};
}

/// Splits scales that were written multiplied out into LPBQ's parts, if their product is exact.
void find_block_scales(Encoding& encoding, const Grid& grid_of_sim) {
  Grid grid = encoding.grid;
  grid.block_scale_bits = grid_of_sim.block_scale_bits;
  if (grid_of_sim.form != lpbq_form() || !grid.per_group() || !grid.symmetric) return;
  if (has_one_block(grid, encoding.codes.sizes())) return;
  const auto [per_block, per_channel] = block_scales(encoding.scale, grid);
  if (at::equal(per_block * per_channel, encoding.scale))
    set_block_scales(encoding, grid.block_scale_bits, per_block, per_channel);
}

Encoding encode(const FileEntry& entry, const QuantizedWeight& weight, const at::Tensor& source) {
  Grid grid = layout_of(entry, weight, source.sizes());
  grid.bits = entry.bits;
  grid.symmetric = is_symmetric(entry, weight.grid);
  check_grid(entry.where, grid, source.sizes());
  const Sizes sizes = scale_sizes(source.sizes(), grid);
  const at::Tensor offset = grid.symmetric ? at::Tensor() : filled(entry.lowest, sizes, at::kFloat);
  const std::string& name = weight.layer.parameters.front();
  const auto encode_with = [&](const at::Tensor& scale) {
    return encode_affine(name, source, split_groups(source, grid), {scale, offset}, grid);
  };
  if (entry.block_scales.empty()) {
    Encoding encoding = encode_with(filled(entry.scales, sizes, at::kFloat));
    find_block_scales(encoding, weight.grid);
    return encoding;
  }
  Sizes channel_sizes = sizes;
  channel_sizes[grid.group_axis] = 1;
  const at::Tensor per_channel = filled(entry.scales, channel_sizes, at::kFloat);
  const at::Tensor per_block = filled(entry.block_scales, sizes, at::kShort);
  Encoding encoding = encode_with(per_block * per_channel);
  set_block_scales(encoding, block_scale_bits_of(entry, weight.grid), per_block, per_channel);
  return encoding;
}

}  // namespace

Encoding encoding_from(const FileEntry& entry, const QuantizedWeight& weight, const at::Tensor& source) {
  Encoding encoding = encode(entry, weight, source);
  ADA_CHECK(dequantize(encoding).isfinite().all().item<bool>(),
            "{}: its scales make numbers that the weight's dtype, {}, does not hold", entry.where,
            c10::toString(source.scalar_type()));
  return encoding;
}

}  // namespace adascale
