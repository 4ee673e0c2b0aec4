#pragma once
#include <optional>
#include <vector>

#include "adascale/sim/options.h"
#include "adascale/sim/supergroups.h"
#include "adascale/sim/units.h"

namespace adascale {

/// The settings of the activation quantizers around a unit.
struct UnitSettings {
  int64_t output_bw;                     ///< kOffBits: none
  std::optional<bool> output_symmetric;  ///< not set: the config decides
  std::optional<int64_t> input_bw;       ///< not set: the unit that makes the input decides
  std::optional<bool> input_symmetric;
};

/// By unit: the default, then the layer_config settings for the unit or, for the output, for any
/// unit of its supergroup, which has only one output.
///
/// Patterns are matched with the unit's name, its module's path, its layers' names and its
/// layers' kinds. Throws Error (user) when a pattern that sets an output or input option
/// matches no unit that computes.
std::vector<UnitSettings> activation_settings(const UnitGraph& graph, const std::vector<Supergroup>& groups,
                                              const SimOptions& options);

}  // namespace adascale
