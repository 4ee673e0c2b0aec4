#pragma once
#include <functional>

#include "adascale/quant/grid.h"

namespace adascale {

/// Squared quantization error, one number per Q element, of quantizing with that range.
using RangeError = std::function<at::Tensor(const Range&)>;

/// A weight whose range is searched.
struct RangeSearch {
  at::Tensor w;
  at::Tensor importance;  ///< of each squared error; broadcasts to w

  /// The error on a grid, summed over the elements that share a scale.
  RangeError error_on(const Grid& grid) const;
};

/// The range inside `widest` with the least error, for each Q element separately; `widest`
/// where none is better. Symmetric ranges shrink as a whole; asymmetric ones as a whole first,
/// then on one side at a time.
Range search_range(const Range& widest, const Grid& grid, const RangeError& error);

/// Each Q element from `a` where that has the smaller error, else from `b`. `sum` adds up the errors,
/// [Q], of the elements that must be taken together.
Range better_by(const Range& a, const Range& b, const RangeError& error,
                const std::function<at::Tensor(const at::Tensor&)>& sum);

}  // namespace adascale
