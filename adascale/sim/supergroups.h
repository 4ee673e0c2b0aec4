#pragma once
#include <vector>

#include "adascale/sim/config.h"
#include "adascale/sim/units.h"

namespace adascale {

/// Units that run as one kernel: the values between them are never quantized.
using Supergroup = std::vector<UnitId>;

/// The chains of units whose types form one of the config's supergroups. The output of each link is
/// the only one of its unit, is read only by the next unit and is not returned. A unit is in at
/// most one group: the first in execution order, and the longest of those that start there. Units
/// that vanish at run time (dropout) may stand in between.
std::vector<Supergroup> find_supergroups(const UnitGraph& graph, const SimConfig& config);

}  // namespace adascale
