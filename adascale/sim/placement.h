#pragma once
#include <vector>

#include "adascale/core/error.h"
#include "adascale/graph/program.h"
#include "adascale/sim/activation_quantizer.h"
#include "adascale/sim/config.h"
#include "adascale/sim/options.h"

namespace adascale {

/// The activation quantizers of a program under a config, in execution order; none when output_bw is 32.
///
/// A module without child modules is one unit: what leaves it is quantized, not what happens inside. Operators that a
/// module with children (or the root) applies itself are units of their own. Data-movement operators, and
/// dropout in eval, add none: their results carry their input's encoding. Only floating-point values count.
std::vector<ActivationQuantizer> place_activation_quantizers(const Program& program, const SimConfig& config,
                                                             const SimOptions& options);

}  // namespace adascale
