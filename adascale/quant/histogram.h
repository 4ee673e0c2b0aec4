#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/grid.h"

namespace adascale {

/// Counts of a stream of values. Each bin is 1/512 to 1/256 of its values wide, so that a few huge values do not make the
/// bins of the others coarse. The bins end at a power of two and reach down to 2^-24 of it; smaller values share a bin on
/// each side of zero. When a larger value comes, the smallest bins join. Values may be on any device, the counts are on the
/// CPU.
class Histogram {
 public:
  /// `min`, `max`: the extremes of x, which is not empty; they are finite.
  void add(const at::Tensor& x, double min, double max);
  /// Throws (user) when no value was seen.
  void check_seen() const;
  /// The start range of a quantizer for all values seen. Throws likewise.
  Range range(const Grid& grid) const;
  at::Tensor counts() const;  ///< fp64 [bins], from the lowest values to the highest
  at::Tensor edges() const;   ///< fp64 [bins + 1]
  double min() const { return min_; }
  double max() const { return max_; }

 private:
  at::Tensor counts_;  ///< fp64 [2, bins of a sign], from zero on; undefined until something was seen
  int top_ = 0;        ///< values are less than 2^top_
  double min_ = 0, max_ = 0;

  void include(double min, double max);
};

}  // namespace adascale
