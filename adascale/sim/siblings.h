#pragma once
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

/// Sets Grid::shared_scale of the weights whose forms share one among siblings: layers on grids of one
/// form that read the same value, through views and casts too, in any of their calls.
void share_among_siblings(const Program& program, std::vector<QuantizedWeight>& weights);

}  // namespace adascale
