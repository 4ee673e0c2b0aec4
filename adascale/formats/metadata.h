#pragma once
#include <map>
#include <string>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// What made a file: "adascale.version", "adascale.quant_scheme", how it was trained ("adascale.recipe",
/// "adascale.seed", ...; absent where nothing was) and "adascale.weights", a JSON object from each quantized
/// weight's name to its grid.
std::map<std::string, std::string> producer_metadata(const QuantizationSimModel& sim);

}  // namespace adascale
