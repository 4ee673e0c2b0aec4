#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// The integer grid of one tensor: the number of codes, whether they are around zero, and
/// which elements share a scale.
///
/// Codes: symmetric [-2^(b-1), 2^(b-1)-1] (AIMET's "non-strict" grid); asymmetric
/// 0..2^b-1 shifted by the offset.
struct Grid {
  int bits = 8;
  bool symmetric = true;
  int64_t channel_axis = -1;                             ///< -1: one scale for the whole tensor
  int64_t group_axis = -1;                               ///< the axis cut in groups; needs a channel axis
  int64_t group_size = 0;                                ///< 0: no groups
  c10::ScalarType scale_dtype = c10::ScalarType::Float;  ///< of stored scales; training rounds to it
  /// LPBQ: a group's scale is an integer 1..2^block_scale_bits times one float per channel; 0: a float.
  int block_scale_bits = 0;
  /// Asymmetric groups have a float minimum <= 0, stored like scales, instead of an integer offset:
  /// x = scale * code + minimum (GGUF's Q4_1 and Q5_1).
  bool float_minimum = false;
  /// GGUF's K-quants: the number of elements of a row that share one float d and, with a
  /// minimum, another, dmin; their groups' scales and minima are integers of block_scale_bits
  /// times these. 0: no superblocks.
  ///   x = d * scale_int * code - dmin * min_int    1 <= scale_int < 2^bits, 0 <= min_int < 2^bits
  ///   x = d * scale_int * code, symmetric          -2^(bits-1) <= scale_int < 2^(bits-1), not 0
  int64_t superblock_size = 0;
  /// Axes with scales of their own beside the channel axis: matrices of a stack (experts), heads.
  std::vector<int64_t> stack_axes = {};

  bool per_channel() const { return channel_axis >= 0; }
  bool per_group() const { return group_size > 0; }
  bool integer_block_scales() const { return block_scale_bits > 0 && !has_superblocks(); }  ///< LPBQ's
  bool has_superblocks() const { return superblock_size > 0; }
  /// One float scale and one integer offset per range, which most formats can hold.
  bool is_plain() const { return block_scale_bits == 0 && !float_minimum; }
  int64_t block_scale_max() const { return int64_t{1} << block_scale_bits; }
  int64_t qmin() const { return symmetric ? -(int64_t{1} << (bits - 1)) : 0; }
  int64_t qmax() const { return symmetric ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1; }
  /// The stack axes, then the channel axis; none per tensor.
  std::vector<int64_t> scaled_axes() const;
  int64_t steps() const { return (int64_t{1} << bits) - 1; }  ///< qmax - qmin
  bool operator==(const Grid&) const = default;
};

/// "int4 symmetric per channel", "int4 asymmetric per group of 64", "int4 symmetric LPBQ per group of 64",
/// "int4 with minimum per group of 32", "int4 with minimum per group of 32, superblocks of 256".
std::string to_string(const Grid& grid);

/// Throws (user), beginning with `name`, unless bits are 2..16, groups divide the axis, LPBQ has
/// groups around zero, and minima and superblocks have groups that fit them.
void check_grid(const std::string& name, const Grid& grid, at::IntArrayRef weight_sizes);

/// Views `w` so that the elements sharing a scale are those of the axes of size 1 in scale_sizes(): per group
/// [.., in, ..] becomes [.., groups, group_size, ..]; otherwise `w` itself. No copy for contiguous input.
at::Tensor split_groups(const at::Tensor& w, const Grid& grid);
/// The positions of a weight's axes after the split.
std::vector<int64_t> split_axes(std::vector<int64_t> axes, const Grid& grid);
/// The inverse of split_groups for a weight of `weight_sizes`.
at::Tensor join_groups(const at::Tensor& w, at::IntArrayRef weight_sizes);
/// The shape Q of scales against the split weight: per channel [out,1,..], per group
/// [out,groups,1,..], else [].
std::vector<int64_t> scale_sizes(at::IntArrayRef weight_sizes, const Grid& grid);

/// Range of a quantizer: fp32 tensors of shape Q, min <= 0 <= max; reversed where symmetric
/// superblocks have a negative scale.
struct Range {
  at::Tensor min, max;
};

/// The same range on a device.
Range on(const Range& range, c10::Device device);

/// The axes of a split weight whose elements share a scale: those of size 1 in
/// scale_sizes(), all of them per tensor.
std::vector<int64_t> shared_axes(const Grid& grid, const at::Tensor& split);

/// The start range of a quantizer for values in min..max: qmin*delta..qmax*delta when symmetric; it
/// always contains zero and is never empty.
Range range_around(const at::Tensor& min, const at::Tensor& max, const Grid& grid);

/// The floor of scales stored in that dtype.
double smallest_scale(c10::ScalarType stored);
/// Floats as the grid stores them, floored away from 0 on their own side; the dtype stays.
at::Tensor as_stored(const at::Tensor& scale, const Grid& grid);
/// scale = (max - min) / steps, floored away from 0 and rounded to the grid's stored dtype
/// (returned as fp32). Throws (user), beginning with `name`, when it exceeds that dtype.
at::Tensor scale_of(const Range& range, const Grid& grid, const std::string& name = "quantizer");
/// Only the flooring and rounding, to integer scales of blocks or superblocks too,
/// in the dtype of `scale`.
at::Tensor storable_scale(const at::Tensor& scale, const Grid& grid);
/// LPBQ's two parts of such scales: `per_block` (the scales' shape) times
/// `per_channel` (one along the groups).
///   per_channel = max over the groups / 2^n, as stored
///   per_block   = clamp(round(scale / per_channel), 1, 2^n)
struct BlockScales {
  at::Tensor per_block, per_channel;
};
BlockScales block_scales(const at::Tensor& scale, const Grid& grid);
/// Throws (user), beginning with `name`, when scales or minima are not finite: they exceed their dtype.
void check_scale(const at::Tensor& scale, const Grid& grid, const std::string& name);
/// The integer offset in x = scale * (code + offset), as fp32: 0 when symmetric, else
/// round(min / scale) <= 0.
at::Tensor offset_of(const Range& range, const at::Tensor& scale, const Grid& grid);
/// The integer nearest to `position` = min / scale that keeps zero on the grid.
at::Tensor offset_from(const at::Tensor& position, const Grid& grid);

}  // namespace adascale
