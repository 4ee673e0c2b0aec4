#pragma once
#include <string>

#include "adascale/run/run_plan.h"
#include "adascale/tune/report.h"

namespace adascale {

/// What came of a training: each block's and layer's result. Numbers that are not finite are null. No times:
/// the same training gives the same bytes. Fields and their meaning: docs/report.md.
std::string report_json(const AdaScaleReport& report);

/// The content of report.json: the same with the run's plan and its hash, sizes, files, notes, layers left in full
/// precision and the activations' ranges.
std::string report_json(const RunPlan& plan, const AdaScaleReport& report);

}  // namespace adascale
