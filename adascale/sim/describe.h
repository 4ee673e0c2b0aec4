#pragma once
#include <string>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// The module tree, one line per module, with the quantizers at it.
std::string describe_sim(const QuantizationSimModel& sim);

}  // namespace adascale
