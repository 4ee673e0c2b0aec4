#pragma once
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/options.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

/// A layer and the grids that it may have.
struct WeightOptions {
  struct Option {
    int width;  ///< the bits to ask for; the grid's own where a file needs another
    Grid grid;
  };
  Layer layer;
  std::vector<Option> options;  ///< by width, each grid once; one alone: the options of the simulation fix it
};

/// The layers that `options` quantize, with the grids that they and the files (fit_grid) take if param_bw is one of
/// `widths`, ascending. Reads no weight. Throws (user), with what was objected to at each width, for a layer that takes
/// none.
std::vector<WeightOptions> weight_options(const Program& program, const SimOptions& options,
                                          const std::vector<int>& widths);

}  // namespace adascale
