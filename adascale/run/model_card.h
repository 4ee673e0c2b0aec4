#pragma once
#include <string>

#include "adascale/run/run_plan.h"
#include "adascale/tune/report.h"

namespace adascale {

/// Whether one of the formats is a folder, of which a model card is part.
bool has_model_card(const std::vector<ChosenFormat>& formats);

/// The content of README.md, as the Hugging Face hub shows it: what was quantized and how, how good it is, how to
/// load it, the command or call that made it, and the licence of the model that it was made from.
std::string model_card(const RunPlan& plan, const AdaScaleReport& report);

}  // namespace adascale
