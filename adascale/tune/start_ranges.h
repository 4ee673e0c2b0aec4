#pragma once
#include <cstdint>
#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/input_source.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Runs the block in the FP stream, and gives the ranges from which the recipe trains its weights:
/// the simulation's, or the best ones for the layers' inputs seen on the way, in the
/// batches trained on.
std::vector<Range> run_fp_for_start_ranges(const QuantizationSimModel& sim, const Recipe& recipe,
                                           InputSource& source, size_t block, int64_t training_batches,
                                           const std::vector<int32_t>& weights);

}  // namespace adascale
