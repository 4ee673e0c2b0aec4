#pragma once
#include <vector>

#include "adascale/sim/config.h"
#include "adascale/sim/units.h"

namespace adascale {

/// Units that run as one kernel: the numbers between them are never quantized.
using Supergroup = std::vector<UnitId>;

/// The chains of units whose types are one of the config's supergroups, each link being the only output of
/// its unit, read by the next unit alone and not returned. A unit is in one group at most: the first in
/// execution order, and of those that start at it the longest. What vanishes at run time (dropout) may stand
/// between two of them.
std::vector<Supergroup> find_supergroups(const UnitGraph& graph, const SimConfig& config);

}  // namespace adascale
