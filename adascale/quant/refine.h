#pragma once
#include "adascale/quant/search.h"

namespace adascale {

/// A range whose scale and, on a grid with one, minimum fit the codes that `range` gives `w` with the least
/// squared error times `importance` (broadcasts to w); `range` where that is no better. A few rounds, since
/// the codes follow. For grids around zero or with a float minimum.
Range refine_range(const Range& range, const at::Tensor& w, const at::Tensor& importance, const Grid& grid,
                   const RangeError& error);

}  // namespace adascale
