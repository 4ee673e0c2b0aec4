#pragma once
#include <cstddef>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/layers.h"

namespace adascale {

/// Layers that read the same value, through views and casts too, in any of their calls, are one family: q, k and v of an
/// attention, gate and up of an MLP, which runtimes make one product of. For each layer the place of one that stands for
/// its family.
std::vector<size_t> families_of(const Program& program, const std::vector<const Layer*>& layers);

}  // namespace adascale
