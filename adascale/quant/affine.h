#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "adascale/quant/grid.h"

namespace adascale {

/// The tensors that a form's scales and minima are stored as, by names of the form's own.
using Parts = std::map<std::string, at::Tensor>;

/// Puts values on a grid, as stored: tensors of shape Q.
///
///   x = scale * (code + offset), or scale * code + minimum
struct Affine {
  at::Tensor scale;
  at::Tensor offset;        ///< undefined when symmetric or with a minimum
  at::Tensor minimum = {};  ///< undefined without; <= 0
  Parts parts = {};         ///< in forms whose scales are products, where these are not found again from them
};

/// For a range, in its dtype. Throws (user), beginning with `name`, when a float exceeds the grid's dtype.
Affine affine_of(const Range& range, const Grid& grid, const std::string& name = "quantizer");
/// The same without the check, for training, where values may be anything; differentiable.
Affine storable_affine(const Range& range, const Grid& grid);

/// The start range of a quantizer for values in min..max: lowest*delta..highest*delta when
/// symmetric; it always contains zero and is never empty.
Range range_around(const at::Tensor& min, const at::Tensor& max, const Grid& grid);

/// Of a symmetric grid: the step, of whichever sign, that reaches min <= 0 <= max from zero with the codes there
/// are. There is one more below, so that a step is shorter in the direction of the larger end.
at::Tensor shorter_step(const at::Tensor& min, const at::Tensor& max, const Grid& grid);

/// The floor of scales stored in that dtype.
double smallest_scale(c10::ScalarType stored);
/// Floats as the grid stores them, floored away from 0 on their own side; the dtype stays.
at::Tensor as_stored(const at::Tensor& scale, const Grid& grid);
/// The scale of affine_of().
at::Tensor scale_of(const Range& range, const Grid& grid, const std::string& name = "quantizer");
/// Throws (user), beginning with `name`, when scales or minima are not finite: they exceed their dtype.
void check_scale(const at::Tensor& scale, const Grid& grid, const std::string& name);
/// The integer offset in x = scale * (code + offset), as fp32: 0 when symmetric, else
/// round(min / scale) <= 0.
at::Tensor offset_of(const Range& range, const at::Tensor& scale, const Grid& grid);
/// The integer nearest to `position` = min / scale that keeps zero on the grid.
at::Tensor offset_from(const at::Tensor& position, const Grid& grid);

}  // namespace adascale
