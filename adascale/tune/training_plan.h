#pragma once
#include <string>
#include <vector>

#include "adascale/tune/adascale.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/memory_plan.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// All decisions of a training before it works.
struct TrainingPlan {
  AdaScaleOptions options;
  std::vector<Block> blocks;  ///< in the order of training
  Recipe recipe;              ///< with the rates that the options scale
  int64_t iterations = 0;     ///< per block
  int64_t training_batches = 0;
  c10::ScalarType compute_type = c10::ScalarType::Float;  ///< of layers accepted by takes_bfloat16()
  MemoryPlan memory;
  /// One line per layer that keeps round-to-nearest or full precision, with the reason.
  std::vector<std::string> not_trained;
};

/// The modules to train: those that the options name, else those of the rule (find_blocks).
std::vector<Block> blocks_to_train(const Program& program, const AdaScaleOptions& options);

/// Checks the whole training of these blocks and throws one Error with all objections. Changes nothing.
TrainingPlan plan_training(const QuantizationSimModel& sim, std::vector<Block> blocks,
                           const std::vector<Inputs>& batches, const AdaScaleOptions& options);

/// Trains the plan's blocks on the batches that it was made for, and folds them into the sim. Errors
/// are those of apply_adascale during its work.
AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan, const std::vector<Inputs>& batches);

}  // namespace adascale
