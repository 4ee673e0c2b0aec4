#pragma once
#include <functional>

#include "adascale/quant/grid.h"

namespace adascale {

/// Squared quantization error, one number per Q element, of quantizing with that range.
using RangeError = std::function<at::Tensor(const Range&)>;

/// The range inside `widest` with the least error, for each Q element separately; `widest`
/// where none is better. Symmetric ranges shrink as a whole; asymmetric ones as a whole first,
/// then on one side at a time.
Range search_range(const Range& widest, const Grid& grid, const RangeError& error);

}  // namespace adascale
