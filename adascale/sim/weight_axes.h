#pragma once
#include <optional>

#include "adascale/sim/layers.h"
#include "adascale/sim/weight_source.h"

namespace adascale {

/// What each axis of the weight operand of `node` means, told as axes of the parameter behind it. Nothing
/// when input and output channels run along one axis of the parameter, or when there are none of either.
std::optional<WeightAxes> weight_axes(const Node& node, const LayerKind& kind, size_t position,
                                      const WeightSource& source);

}  // namespace adascale
