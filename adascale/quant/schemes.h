#pragma once
#include <memory>

#include "adascale/quant/range_analyzer.h"

namespace adascale {

// The analyzers in the rows of range_schemes(): one source file each.

/// All values seen, outliers included.
std::unique_ptr<RangeAnalyzer> make_min_max_analyzer();

/// AIMET's "tf_enhanced": the range with the least squared quantization error, clipping included.
std::unique_ptr<RangeAnalyzer> make_sqnr_analyzer();
Range sqnr_range(const at::Tensor& w, const Grid& grid);
/// The same with each weight's squared error multiplied by its `importance`, of a
/// shape that broadcasts to w's.
Range weighted_sqnr_range(const at::Tensor& w, const Grid& grid, const at::Tensor& importance);

/// The range that leaves out 0.01 % of the values on either side.
std::unique_ptr<RangeAnalyzer> make_percentile_analyzer();
Range percentile_range(const at::Tensor& w, const Grid& grid);

}  // namespace adascale
