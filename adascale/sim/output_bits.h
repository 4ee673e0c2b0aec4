#pragma once
#include <string>
#include <vector>

#include "adascale/sim/options.h"
#include "adascale/sim/supergroups.h"
#include "adascale/sim/units.h"

namespace adascale {

/// The bits of each unit's outputs: the default, then what layer_config says of the unit or, since a
/// supergroup has one output, of any unit of its group. By unit; kOffBits: none.
///
/// Patterns are matched with the unit's name, its module's path, its layers' names and its layers' kinds.
/// Throws Error (user) when one that sets output_bw matches no unit that computes.
std::vector<int64_t> output_bits(const UnitGraph& graph, const std::vector<Supergroup>& groups,
                                 const SimOptions& options);

}  // namespace adascale
