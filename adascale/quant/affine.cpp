#include "adascale/quant/affine.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/exact_division.h"
#include "adascale/quant/forms/form.h"

namespace adascale {

Affine storable_affine(const Range& range, const Grid& grid) {
  return grid.form->affine(range.min, range.max, grid);
}

Affine affine_of(const Range& range, const Grid& grid, const std::string& name) {
  Affine affine = storable_affine(range, grid);
  check_scale(affine.scale, grid, name);
  if (affine.minimum.defined()) check_scale(affine.minimum, grid, name);
  return affine;
}

Range range_around(const at::Tensor& min, const at::Tensor& max, const Grid& grid) {
  if (grid.symmetric) {
    const at::Tensor delta = grid.form->symmetric_scale(min, max, grid);
    return {delta * grid.form->lowest(grid), delta * grid.form->highest(grid)};
  }
  const at::Tensor lowest = min.clamp_max(0);
  const double narrowest = smallest_scale(grid.scale_dtype) * static_cast<double>(grid.steps());
  return {lowest, max.clamp_min(0).maximum(lowest + narrowest)};
}

at::Tensor shorter_step(const at::Tensor& min, const at::Tensor& max, const Grid& grid) {
  const double floor = smallest_scale(grid.scale_dtype);
  const at::Tensor upright =
      divide_exactly(max, grid.qmax()).maximum(divide_exactly(min, grid.qmin())).clamp_min(floor);
  const at::Tensor reversed =
      divide_exactly(min, -grid.qmax()).maximum(divide_exactly(max, -grid.qmin())).clamp_min(floor);
  return at::where(reversed < upright, -reversed, upright);
}

// Below 2^-60 a value is no signal; above it, 1/scale and scale^2 are still normal fp32 numbers. fp16 ends at
// 2^-24.
double smallest_scale(c10::ScalarType stored) {
  return std::ldexp(1.0, stored == c10::ScalarType::Half ? -24 : -60);
}

at::Tensor as_stored(const at::Tensor& scale, const Grid& grid) {
  const at::Tensor stored = scale.to(grid.scale_dtype).to(scale.scalar_type());
  return at::copysign(stored.abs().clamp_min_(smallest_scale(grid.scale_dtype)), scale);
}

at::Tensor scale_of(const Range& range, const Grid& grid, const std::string& name) {
  return affine_of(range, grid, name).scale;
}

void check_scale(const at::Tensor& scale, const Grid& grid, const std::string& name) {
  ADA_CHECK(at::all(at::isfinite(scale)).item<bool>(),
            "{}: values are too large for {} with scales stored as {}; use more bits, exclude the layer "
            "({}), or write a format of float32 scales",
            name, to_string(grid), c10::toString(grid.scale_dtype), how_to_exclude());
}

at::Tensor offset_from(const at::Tensor& position, const Grid& grid) {
  // A scale rounded down to a short dtype could push zero's code past the last one.
  return position.round().clamp_(-grid.steps(), 0);
}

at::Tensor offset_of(const Range& range, const at::Tensor& scale, const Grid& grid) {
  return grid.symmetric ? at::zeros_like(scale) : offset_from(range.min / scale, grid);
}

}  // namespace adascale
