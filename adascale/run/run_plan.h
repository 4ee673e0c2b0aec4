#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adascale/formats/folder_files.h"
#include "adascale/formats/format.h"
#include "adascale/run/batches.h"
#include "adascale/run/bit_choice.h"
#include "adascale/run/door.h"
#include "adascale/run/live_run.h"
#include "adascale/run/model_plan.h"
#include "adascale/run/request.h"
#include "adascale/tune/training_plan.h"

namespace adascale {

/// All that a run decides before it works. Made once: `--dry-run` prints it, training and export take it.
struct RunPlan {
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  QuantizeRequest request;
  std::vector<ModelPlan> parts;   ///< a whole model is one
  std::unique_ptr<LiveRun> live;  ///< of a model in parts
  Batches batches;
  std::optional<BitChoice> bits;  ///< where the request has a target
  TrainingPlan training;
  ExportPlan files;
  std::vector<std::string> notes;  ///< for the user, about model, data and files, one per line

  std::vector<const QuantizationSimModel*> sims() const;  ///< by part
  ModelToWrite to_write() const;
};

/// The door of the model, once its options and files of data are checked.
/// Throws (user) with all objections.
const Door& door_of(const QuantizeRequest& request, const Doors& doors);

/// Opens the model and its data and decides the run: what is known before the model opens, data and layers,
/// training, files. Throws (user) at the first of these with objections, as early as it can. Writes no file.
RunPlan plan_run(const QuantizeRequest& request, const Doors& doors);

/// All decisions that bear on the bytes of the files, as one line of JSON with sorted keys: layers with
/// their grids, blocks, recipe and budget, batches, seed, formats. Left out: paths, devices, threads,
/// `deterministic`, memory limits, and the contents of model and data.
std::string canonical_json(const RunPlan& plan);
/// SHA-1 of it, in hexadecimal; "adascale.plan" in the files' metadata.
std::string hash_of(const RunPlan& plan);

}  // namespace adascale
