#pragma once
#include <optional>
#include <vector>

#include "adascale/sim/options.h"
#include "adascale/sim/supergroups.h"
#include "adascale/sim/units.h"

namespace adascale {

/// What decides the activation quantizers around a unit.
struct UnitSettings {
  int64_t output_bw;                     ///< kOffBits: none
  std::optional<bool> output_symmetric;  ///< not set: as the config says
  std::optional<int64_t> input_bw;       ///< not set: as whoever makes the input says
  std::optional<bool> input_symmetric;
};

/// By unit: the default, then what layer_config says of the unit or, for the output, since a supergroup has
/// one, of any unit of its group.
///
/// Patterns are matched with the unit's name, its module's path, its layers' names and its layers' kinds.
/// Throws Error (user) when one that sets something of an output or input matches no unit that computes.
std::vector<UnitSettings> activation_settings(const UnitGraph& graph, const std::vector<Supergroup>& groups,
                                              const SimOptions& options);

}  // namespace adascale
