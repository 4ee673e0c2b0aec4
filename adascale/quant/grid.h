#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

class GridForm;
const GridForm* plain_form();

/// The grid of one tensor: the number of codes, whether they are around zero, which elements
/// share a scale, and the form in which it is stored (forms/form.h).
///
/// Integer codes: symmetric [-2^(b-1), 2^(b-1)-1] (AIMET's "non-strict" grid); asymmetric
/// 0..2^b-1 shifted by the offset.
struct Grid {
  int bits = 8;
  bool symmetric = true;
  /// Of symmetric integers: a scale may be negative, so that the end of the weights with the larger value takes
  /// the code -2^(b-1), of which there is no positive one.
  bool signed_scale = false;
  int64_t channel_axis = -1;                             ///< -1: one scale for the whole tensor
  int64_t group_axis = -1;                               ///< the axis cut in groups; needs a channel axis
  int64_t group_size = 0;                                ///< 0: no groups; the last one may be shorter
  c10::ScalarType scale_dtype = c10::ScalarType::Float;  ///< of stored scales; training rounds to it
  const GridForm* form = plain_form();                   ///< how codes and scales are stored
  int block_scale_bits = 0;     ///< of a group's integer scale, in the forms that have one
  int64_t superblock_size = 0;  ///< elements of a row that share the floats of a superblock
  double shared_scale = 1;      ///< a factor of all scales, in the forms that layers share one in
  /// Axes with scales of their own beside the channel axis: matrices of a stack (experts), heads.
  std::vector<int64_t> stack_axes = {};

  bool per_channel() const { return channel_axis >= 0; }
  bool per_group() const { return group_size > 0; }
  bool is_plain() const { return form == plain_form(); }
  int64_t qmin() const { return symmetric ? -(int64_t{1} << (bits - 1)) : 0; }
  int64_t qmax() const { return symmetric ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1; }
  /// The stack axes, then the channel axis; none per tensor.
  std::vector<int64_t> scaled_axes() const;
  int64_t steps() const { return (int64_t{1} << bits) - 1; }  ///< qmax - qmin
  bool operator==(const Grid&) const = default;
};

/// A weight's axis in messages: "in_features", "axis 3".
std::string axis_name(int64_t axis, size_t rank);

/// "int4 symmetric per channel", "int4 asymmetric per group of 64".
std::string to_string(const Grid& grid);

/// Throws (user), beginning with `name`, unless bits are 2..16, groups divide the axis (those of plain grids
/// need not), and the form takes the grid.
void check_grid(const std::string& name, const Grid& grid, at::IntArrayRef weight_sizes);

/// How much longer the axis would be if its last group were as long as the others; 0 without groups.
int64_t missing_in_last_group(at::IntArrayRef weight_sizes, const Grid& grid);
/// "96, 128 or 0 (per channel)": the group sizes next to `wanted` that divide `length`.
std::string dividing_group_sizes(int64_t length, int64_t wanted);
/// `w` itself, or with zeros behind it that fill its last group.
at::Tensor fill_last_group(const at::Tensor& w, const Grid& grid);
/// Views `w` so that the elements sharing a scale are those of the axes of size 1 in scale_sizes(): per group
/// [.., in, ..] becomes [.., groups, group_size, ..]; otherwise `w` itself. A short last group is filled with zeros;
/// else no copy for contiguous input.
at::Tensor split_groups(const at::Tensor& w, const Grid& grid);
/// The positions of a weight's axes after the split.
std::vector<int64_t> split_axes(std::vector<int64_t> axes, const Grid& grid);
/// The inverse of split_groups for a weight of `weight_sizes`.
at::Tensor join_groups(const at::Tensor& w, at::IntArrayRef weight_sizes, const Grid& grid);
/// The shape Q of scales against the split weight: per channel [out,1,..], per group
/// [out,groups,1,..], else [].
std::vector<int64_t> scale_sizes(at::IntArrayRef weight_sizes, const Grid& grid);

/// Range of a quantizer: fp32 tensors of shape Q, min <= 0 <= max; reversed where a symmetric grid has a negative
/// scale.
struct Range {
  at::Tensor min, max;
};

/// The same range on a device.
Range on(const Range& range, c10::Device device);

/// The axes of a split weight whose elements share a scale: those of size 1 in
/// scale_sizes(), all of them per tensor.
std::vector<int64_t> shared_axes(const Grid& grid, const at::Tensor& split);

}  // namespace adascale
