#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/data_request.h"
#include "adascale/run/door.h"
#include "adascale/run/evaluation.h"
#include "adascale/run/runtime.h"
#include "adascale/run/task_runner.h"

namespace adascale {

/// A comparison of what `quantize` wrote with the model it came from.
struct EvaluateRequest {
  std::string model;    ///< what a door opens
  std::string folder;   ///< the output folder of `quantize`
  std::string runtime;  ///< of the runtimes; empty: the simulation alone
  std::string device = "auto";
  DataRequest data;                ///< none: the tasks alone
  std::vector<std::string> tasks;  ///< of lm-eval; both models are scored on them
};

struct EvaluatedFolder {
  std::optional<std::string>
      simulation;                    ///< a .pt2 of the folder, or the folder itself; none: only a runtime
  std::vector<std::string> runners;  ///< names of what ran, the runtime last
  int64_t samples = 0;
  Evaluation evaluation;
  Decode decode;  ///< of the model's door
  std::vector<TaskScore> tasks;
  int64_t activations_not_held =
      0;  ///< on grids in the run that wrote the folder, in full precision in the tasks
};

/// Told the comparison on data as soon as it is there: tasks may take hours, and fail.
using OnCompared = std::function<void(const EvaluatedFolder&)>;

/// Runs the model, the simulation in the folder and the runtime, if one is named, on the data, tells `on_compared`,
/// and scores model and folder on the tasks. Throws (user) before the model is opened with what can be known then.
EvaluatedFolder evaluate(const EvaluateRequest& request, const Doors& doors, const Runtimes& runtimes,
                         const std::optional<TaskRunner>& task_runner = {},
                         const OnCompared& on_compared = {});

}  // namespace adascale
