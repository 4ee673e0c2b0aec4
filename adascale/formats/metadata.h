#pragma once
#include <map>
#include <string>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// The producer of a file: "adascale.version", "adascale.quant_scheme", the training
/// ("adascale.recipe", "adascale.seed", ...; absent where nothing was trained) and
/// "adascale.weights", a JSON object from each quantized weight's name to its grid.
std::map<std::string, std::string> producer_metadata(const QuantizationSimModel& sim);

}  // namespace adascale
