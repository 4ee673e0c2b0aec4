#pragma once
#include <vector>

#include "adascale/tune/checkpoint.h"
#include "adascale/tune/report.h"
#include "adascale/tune/training_plan.h"

namespace adascale {

/// After all blocks: codes stay, and the scales and float minima of the weights that were trained learn from the
/// program's own output (E2E-QP of EfficientQAT, arXiv 2407.11062; there on the cross entropy of text, here on the
/// divergence from the full-precision model's logits). Each scale is multiplied by exp(theta) (learned_scales.h), theta by Adam with a
/// cosine decay. The scales are kept if the loss on the held-out batches falls, else all stays.
///
/// `float_stream`: by batch, what the blocks' training has left of the full-precision model; empty where nothing is.
///
/// `checkpoint`: goes on behind the iterations that an interrupted run left there, and leaves its own, up to ten times.
///
/// What goes wrong in it, memory above all, costs the stage and not the blocks: the report says what, and the sim
/// stays as the blocks made it. Exceptions of the caller's go on.
LastStageReport run_last_stage(QuantizationSimModel& sim, const TrainingPlan& plan,
                               const std::vector<Inputs>& batches,
                               const std::vector<Environment>& float_stream, Checkpoint& checkpoint);

}  // namespace adascale
