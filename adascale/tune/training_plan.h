#pragma once
#include <map>
#include <string>
#include <vector>

#include "adascale/tune/adascale.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/memory_plan.h"
#include "adascale/tune/recipe.h"
#include "adascale/tune/team.h"
#include "adascale/tune/work.h"

namespace adascale {

/// A part of a model before it is trained: a whole model is one.
struct PartToTrain {
  const QuantizationSimModel& sim;
  std::string path;           ///< of its module; empty: the whole model
  std::vector<Block> blocks;  ///< in execution order
  /// The inputs that reach it in the FP model, one entry per batch. Tensors without values
  /// (meta) tell sizes and dtypes only.
  const std::vector<Inputs>& batches;

  bool is_whole() const { return path.empty(); }
};

/// The blocks trained in one part.
struct PartPlan {
  size_t part = 0;            ///< its number among those planned
  std::vector<Block> blocks;  ///< in the order of training
};

/// All decisions of a training before it works.
struct TrainingPlan {
  AdaScaleOptions options;
  std::shared_ptr<Team> team;         ///< that trains
  std::vector<PartPlan> parts;        ///< in the order of training; those with nothing to train are left out
  Recipe recipe;                      ///< with the rates that the options scale
  int64_t iterations = 0;             ///< of a block that every batch reaches
  int64_t last_stage_iterations = 0;  ///< 0: there is none
  std::string no_last_stage = {};     ///< why, of a recipe that has one
  c10::ScalarType compute_type = c10::ScalarType::Float;  ///< of layers accepted by takes_bfloat16()
  MemoryPlan memory;
  Work work;
  /// The digest of the batches' content, where there is a checkpoint. Of a model in parts, whose batches
  /// may be sizes alone, who has the content sets it.
  std::string data = {};
  bool data_is_rounded = false;  ///< the digest is of values that a model computed
  /// All options as they were given, by name, with those of the simulation, or of the run that the training is part of,
  /// "model" and "data" then among them: by them a checkpoint says why another run differs.
  std::map<std::string, std::string> asked = {};
  /// One line per layer that keeps round-to-nearest or full precision, with the reason.
  std::vector<std::string> not_trained;

  bool has_last_stage() const { return recipe.last_stage_rate > 0 && no_last_stage.empty(); }
  /// For a block that so many batches reach in all processes: the number of those trained on, and of its iterations.
  int64_t training_batches(int64_t batches) const { return batches - options.held_out_batches; }
  int64_t iterations_over(int64_t batches) const;
  /// The batches on which a block's candidates are compared, by their numbers over all processes, ascending: at most 32
  /// of those trained on, evenly spaced, and all that are held out.
  std::vector<int64_t> compared_batches(int64_t batches) const;
};

/// The modules to train: those that the options name, else those of the rule (find_blocks).
std::vector<Block> blocks_to_train(const Program& program, const AdaScaleOptions& options);

/// Checks the whole training of these blocks and throws one Error with all objections. Changes nothing.
TrainingPlan plan_training(const QuantizationSimModel& sim, std::vector<Block> blocks,
                           const std::vector<Inputs>& batches, const AdaScaleOptions& options);
/// The same for a model in parts, by part: the inputs that reach it in the FP model, or tensors of their
/// sizes (meta).
TrainingPlan plan_training(const PartedModel& model, const std::vector<std::vector<Inputs>>& batches,
                           const AdaScaleOptions& options);
/// The objections of the latter that need no batch: for a caller whose batches cost runs of the model.
void check_before_data(const PartedModel& model, const AdaScaleOptions& options);

/// Trains the plan's blocks on the batches that it was made for, and folds them into the sim. Errors
/// are those of apply_adascale during its work.
AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan, const std::vector<Inputs>& batches);
/// The same for a model in parts.
AdaScaleReport train(const PartedModel& model, const TrainingPlan& plan, const CatchInputs& catch_inputs);

}  // namespace adascale
