#pragma once
#include <string>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// The module tree, a line a module, with the quantizers that sit at it.
std::string describe_sim(const QuantizationSimModel& sim);

}  // namespace adascale
