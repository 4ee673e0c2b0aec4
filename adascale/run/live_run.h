#pragma once
#include <memory>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/run/model_plan.h"
#include "adascale/run/opened_parts.h"
#include "adascale/run/request.h"

namespace adascale {

/// A model in parts while `quantize` works on it. Stays where it is made: its inputs refer to its model.
struct LiveRun {
  /// Keeps references to the simulations.
  LiveRun(OpenedParts opened, std::vector<ModelPlan>& plans);
  LiveRun(const LiveRun&) = delete;
  LiveRun& operator=(const LiveRun&) = delete;

  /// Runs the FP model once on each batch, to see what reaches the parts.
  void look();
  /// Runs the quantized model on every batch and sets the activations' encodings.
  void compute_encodings();

  PartedModel model;
  RunningModel running;
  std::unique_ptr<LiveInputs> inputs;  ///< after look()
  Inputs first_batch;
};

/// Objects to options that have no meaning for a model in parts.
void check_options_of_parts(const QuantizeRequest& request, const OpenedParts& opened,
                            Objections& objections);

/// The parts as the run will have them, by part. Throws as plan_model does, with all objections of all parts.
std::vector<ModelPlan> plan_parts(std::vector<OpenedParts::Part>& parts, const QuantizeRequest& request,
                                  const FitGrid& fit_grid);

}  // namespace adascale
