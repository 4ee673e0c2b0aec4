#pragma once
#include <map>
#include <string>
#include <vector>

#include "adascale/formats/format.h"

namespace adascale {

/// The producer of a file: "adascale.version", "adascale.quant_scheme", the training
/// ("adascale.recipe", "adascale.seed", ...; absent where nothing was trained) and
/// "adascale.weights", a JSON object from each quantized weight's name to its grid. "adascale.plan" is the
/// hash of the decisions of the run that wrote it; absent outside a run.
std::map<std::string, std::string> producer_metadata(const ExportRequest& request);

}  // namespace adascale
