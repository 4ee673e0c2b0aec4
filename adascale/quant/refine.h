#pragma once
#include "adascale/quant/search.h"

namespace adascale {

/// A range whose scale and, on a grid with one, minimum fit the codes that `range` gives `w` with the least
/// squared error times `importance` (broadcasts to w), of some ranges a little wider and narrower; `range`
/// where none is better. For grids around zero or with a float minimum.
Range refine_range(const Range& range, const at::Tensor& w, const at::Tensor& importance, const Grid& grid,
                   const RangeError& error);

}  // namespace adascale
