#pragma once
#include <string>
#include <vector>

#include "adascale/tune/report.h"
#include "adascale/tune/training_plan.h"

namespace adascale {

/// Why the last stage does not run for this training; empty: it does. Needs the plan's recipe, parts and options.
std::string why_no_last_stage(const TrainingPlan& plan, const QuantizationSimModel& sim,
                              const std::vector<Inputs>& batches);

/// The number of batches that the last stage keeps out of all training, where the options name none: an eighth.
int64_t held_out_for_last_stage(const std::vector<Inputs>& batches);

/// After all blocks: codes stay, and the scales of the weights that were trained learn from the program's own output
/// (E2E-QP of EfficientQAT, arXiv 2407.11062; there on the cross entropy of text, here on the divergence from the
/// full-precision model's logits). Each scale is multiplied by exp(theta), theta by Adam with a cosine decay; an
/// iteration takes one batch. The scales are kept if the loss on the held-out batches falls, else all stays.
LastStageReport run_last_stage(QuantizationSimModel& sim, const TrainingPlan& plan,
                               const std::vector<Inputs>& batches);

}  // namespace adascale
