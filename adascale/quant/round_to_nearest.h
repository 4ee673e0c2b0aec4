#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/grid.h"

namespace adascale {

/// The values of `w`, in its dtype and where it is, on the grid of that range: round-to-nearest, half to even. fp32 copies
/// are of a slice at a time.
at::Tensor round_to_nearest(const at::Tensor& w, const Grid& grid, const Range& range);

}  // namespace adascale
