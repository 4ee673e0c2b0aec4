#pragma once
#include <string>
#include <vector>

#include "adascale/run/request.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"

namespace adascale {

/// The layers of a model, or of one of its parts, as a run will have them: quantizers placed, nothing trained.
struct ModelPlan {
  QuantizationSimModel sim;
  std::vector<Block> blocks;         ///< to train; there may be none
  std::vector<std::string> outside;  ///< names of the layers outside every block
  std::string path = {};             ///< of the part's module; empty: the whole model
};

/// The options of the simulation of a whole model: of the layers outside `blocks` first, then `chosen`, then the user's.
SimOptions options_of_model(const Program& program, const std::vector<Block>& blocks,
                            const QuantizeRequest& request, FitGrid fit_grid, const LayerConfig& chosen = {});

/// Finds the blocks, sets the layers outside them to `outside_bw` bits, unless a target chooses for them (the user's layer
/// settings come later and win, those of a target's choice between them), and places the quantizers, whose weights are
/// dequantized on demand. `is_shared`: somebody else has the program's tensors too, so that batch norms are folded into
/// copies. Throws as QuantizationSimModel does.
ModelPlan plan_model(Program program, const QuantizeRequest& request, bool is_shared, FitGrid fit_grid = {},
                     const LayerConfig& chosen = {});
/// The same for the program of one module, which is its block. Patterns of layer settings may match nothing.
ModelPlan plan_part(Program program, const std::string& path, const QuantizeRequest& request,
                    FitGrid fit_grid);

}  // namespace adascale
