#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adascale/quant/grid.h"

namespace adascale {

/// Observes values and finds the range to quantize: one scheme of the table below, for one tensor.
class RangeAnalyzer {
 public:
  virtual ~RangeAnalyzer() = default;
  /// Any number of calls; fp tensors of any shape. Throws (user) on NaN or infinity.
  void observe(const at::Tensor& x);
  /// Observes an fp tensor that is not empty, and whose extremes the caller has found finite.
  virtual void add(const at::Tensor& x, double min, double max) = 0;
  /// One range for all values seen (0-dim tensors), for `grid`: a symmetric range is
  /// qmin*delta..qmax*delta; zero is always inside and the width floored away from 0.
  /// Throws if nothing was seen.
  virtual Range range(const Grid& grid) const = 0;
};

/// A quantization scheme by AIMET's name.
struct RangeScheme {
  std::string name;  ///< "post_training_tf"
  std::string description;
  std::function<std::unique_ptr<RangeAnalyzer>()> make_analyzer;  ///< activations, streamed
  /// Shape Q; exact, not from a histogram. Throws (user) on NaN or infinity.
  std::function<Range(const at::Tensor& w, const Grid& grid)> weight_range;
};

/// post_training_tf and training_range_learning_with_tf_init (min-max), post_training_tf_enhanced (SQNR
/// search), post_training_percentile (99.99 %); training_range_learning_with_tf_enhanced_init.
const std::vector<RangeScheme>& range_schemes();
/// Throws (user) listing the known names.
const RangeScheme& range_scheme(const std::string& name);

/// delta = max(max(W)/qmax, -min(W)/-qmin) per Q element when symmetric, min(W,0)..max(W,0) otherwise.
Range min_max_range(const at::Tensor& w, const Grid& grid);

}  // namespace adascale
