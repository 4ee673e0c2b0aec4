#pragma once
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/activation_quantizer.h"
#include "adascale/sim/config.h"
#include "adascale/sim/options.h"

namespace adascale {

/// The activation quantizers of a program under a config, model inputs first, then in execution
/// order; none where output_bw is 32.
///
/// A module without child modules is one unit: its outputs are quantized, not the values inside.
/// Operators that a module with children (or the root) applies itself are units of their own.
/// Data-movement operators, and dropout in eval, add none: their results carry their input's
/// encoding (unless the config gives their op type an output quantizer by name). In a supergroup
/// only the last unit's output is quantized. Only floating-point values count whose numbers depend
/// on the user's input and reach an output.
///
/// A model input is named after the unit that first computes with it: module, port "input",
/// index among its inputs. Throws Error (user) when a pattern of layer_config that sets
/// output_bw matches nothing.
std::vector<ActivationQuantizer> place_activation_quantizers(const Program& program, const SimConfig& config,
                                                             const SimOptions& options);

}  // namespace adascale
