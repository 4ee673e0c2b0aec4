#pragma once
#include <ATen/core/Tensor.h>

#include <utility>

#include "adascale/quant/grid.h"

namespace adascale {

/// Counts of a stream of values in equal bins over -limit..limit, limit a power of two. When a
/// value lies outside, the limit doubles and bins join in pairs: no count is doubled or spread.
/// Values may be on any device, the counts are on the CPU.
class Histogram {
 public:
  static constexpr int64_t kBins = 2048;

  /// Throws (user) on NaN or infinity.
  void add(const at::Tensor& x);
  /// Throws (user) when no value was seen.
  void check_seen() const;
  /// The start range of a quantizer for all values seen. Throws likewise.
  Range range(const Grid& grid) const;
  const at::Tensor& counts() const { return counts_; }  ///< fp64 [kBins]
  at::Tensor edges() const;                             ///< fp64 [kBins + 1]
  double min() const { return min_; }
  double max() const { return max_; }

 private:
  at::Tensor counts_;  ///< undefined until something was seen
  double limit_ = 0, min_ = 0, max_ = 0;

  void include(double min, double max);
};

}  // namespace adascale
