#include "adascale/quant/superblock.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

namespace adascale {
namespace {

int64_t groups_in_superblock(const Grid& grid) {
  return grid.superblock_size / grid.group_size;
}

/// [.., groups, ..] -> [.., superblocks, groups of one, ..]
at::Tensor split_superblocks(const at::Tensor& q, const Grid& grid) {
  const int64_t groups = groups_in_superblock(grid);
  return q.unflatten(grid.group_axis, {q.size(grid.group_axis) / groups, groups});
}

at::Tensor per_group(const at::Tensor& floats, const Grid& grid) {
  return floats.repeat_interleave(groups_in_superblock(grid), grid.group_axis);
}

SuperblockParts unsigned_parts(const at::Tensor& values, int64_t least, const Grid& grid) {
  const int64_t most = (int64_t{1} << grid.block_scale_bits) - 1;
  const at::Tensor largest = split_superblocks(values, grid).amax({grid.group_axis + 1});
  const at::Tensor floats = as_stored(largest / most, grid);
  return {(values / per_group(floats, grid)).round_().clamp_(least, most), floats};
}

SuperblockParts signed_parts(const at::Tensor& values, const Grid& grid) {
  const int64_t most = int64_t{1} << (grid.block_scale_bits - 1);
  const at::Tensor split = split_superblocks(values, grid);
  const at::Tensor at_largest = split.abs().argmax(grid.group_axis + 1, /*keepdim=*/true);
  const at::Tensor largest = split.gather(grid.group_axis + 1, at_largest).squeeze(grid.group_axis + 1);
  const at::Tensor floats = as_stored(largest / -most, grid);
  const at::Tensor ratio = values / per_group(floats, grid);
  const at::Tensor integers = ratio.round().clamp_(-most, most - 1);
  return {at::where(integers == 0, at::copysign(at::ones_like(ratio), ratio), integers), floats};
}

}  // namespace

SuperblockParts superblock_scales(const at::Tensor& scale, const Grid& grid) {
  return grid.symmetric ? signed_parts(scale, grid) : unsigned_parts(scale, 1, grid);
}

SuperblockParts superblock_minima(const at::Tensor& minimum, const Grid& grid) {
  return unsigned_parts(minimum.abs(), 0, grid);
}

at::Tensor product(const SuperblockParts& parts, const Grid& grid) {
  return parts.integers * per_group(parts.floats, grid);
}

}  // namespace adascale
