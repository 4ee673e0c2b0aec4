#pragma once
#include <string>
#include <vector>

#include "adascale/tune/adascale.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/memory_plan.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// All decisions of apply_adascale before it works.
struct Preflight {
  std::vector<Block> blocks;
  Recipe recipe;
  int64_t iterations = 0;  ///< per block
  int64_t training_batches = 0;
  c10::ScalarType compute_type = c10::ScalarType::Float;  ///< of layers accepted by takes_bfloat16()
  MemoryPlan memory;
  /// One line per layer that keeps round-to-nearest or full precision, with the reason.
  std::vector<std::string> not_trained;
};

/// Checks the whole run and throws one Error with all objections. Changes nothing.
Preflight check_adascale(const QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                         const AdaScaleOptions& options);

}  // namespace adascale
