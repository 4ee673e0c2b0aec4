#pragma once
#include "adascale/quant/search.h"

namespace adascale {

/// A range whose scale and minimum (on a grid with one) minimize the squared error times
/// `importance` (broadcasts to w) for the codes that `range`, a little wider or narrower, gives
/// `w`; `range` where none is better. For grids around zero or with a float minimum.
Range refine_range(const Range& range, const at::Tensor& w, const at::Tensor& importance, const Grid& grid,
                   const RangeError& error);

}  // namespace adascale
