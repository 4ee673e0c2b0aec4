#pragma once
#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/tune/block_trainer.h"

namespace adascale {

/// Runs the job's block in the FP stream, and gives the ranges from which the recipe trains its weights:
/// the simulation's, or the best ones for the layers' inputs seen on the way, in the
/// batches trained on.
std::vector<Range> run_fp_for_start_ranges(const BlockJob& job);

}  // namespace adascale
