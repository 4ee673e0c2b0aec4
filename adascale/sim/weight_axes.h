#pragma once
#include <optional>

#include "adascale/sim/layers.h"
#include "adascale/sim/weight_source.h"

namespace adascale {

/// The meaning of each axis of `node`'s weight operand, as axes of the parameter behind
/// it. Nothing when input and output channels run along one axis of the parameter, or
/// one of the two is missing.
std::optional<WeightAxes> weight_axes(const Node& node, const LayerKind& kind, size_t position,
                                      const WeightSource& source);

}  // namespace adascale
