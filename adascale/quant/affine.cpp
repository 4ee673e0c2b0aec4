#include "adascale/quant/affine.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/isfinite.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

void add_minimum(const at::Tensor& min, const Grid& grid, Affine& affine) {
  const at::Tensor lowest = min.clamp_max(0);
  if (grid.has_superblocks()) {
    affine.minimum_parts = superblock_minima(lowest, grid);
    affine.minimum = product(affine.minimum_parts, grid).neg_();
  } else {
    affine.minimum = lowest.to(grid.scale_dtype).to(min.scalar_type());
  }
  affine.minimum.add_(0);  // -0.0 becomes 0: a file keeps no -0.0
}

}  // namespace

Affine storable_affine(const Range& range, const Grid& grid) {
  const at::Tensor ideal = (range.max - range.min) / grid.steps();
  Affine affine;
  if (grid.has_superblocks()) {
    affine.scale_parts = superblock_scales(ideal, grid);
    affine.scale = product(affine.scale_parts, grid);
  } else {
    affine.scale = storable_scale(ideal, grid);
  }
  if (grid.float_minimum)
    add_minimum(range.min, grid, affine);
  else if (!grid.symmetric)
    affine.offset = offset_of(range, affine.scale, grid);
  return affine;
}

Affine affine_of(const Range& range, const Grid& grid, const std::string& name) {
  Affine affine = storable_affine(range, grid);
  check_scale(affine.scale, grid, name);
  if (affine.minimum.defined()) check_scale(affine.minimum, grid, name);
  return affine;
}

}  // namespace adascale
