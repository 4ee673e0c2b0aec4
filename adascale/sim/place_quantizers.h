#pragma once
#include <memory>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/graph/interpreter.h"
#include "adascale/sim/activation_quantizer.h"
#include "adascale/sim/config.h"
#include "adascale/sim/layers.h"
#include "adascale/sim/options.h"
#include "adascale/sim/weights.h"

namespace adascale {

/// Objects to a quantized program: it would be quantized a second time.
void check_unquantized(const Program& program, Objections& objections);

/// The quantizers of a program, and the interpreter of all its nodes.
struct Placed {
  std::vector<QuantizedWeight> weights;
  std::vector<Layer> excluded;
  std::vector<PassedOver> passed_over;
  std::vector<ActivationQuantizer> activations;
  std::unique_ptr<Interpreter> interpreter;  ///< keeps a reference to the program
};

/// Does all that may refuse a program whose options are right. Throws Error (user).
Placed place_quantizers(const Program& program, const SimConfig& config, const SimOptions& options);

/// Throws as place_quantizers would once the batch norms are folded. Folding in place overwrites the
/// user's tensors, and a model that is refused must keep them.
void check_folded(Program program, const SimConfig& config, const SimOptions& options);

}  // namespace adascale
