#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "adascale/quant/encoding.h"
#include "adascale/sim/layers.h"

namespace adascale {

/// One quantized parameter: its grid, start range and, once decided, its codes.
struct QuantizedWeight {
  Layer layer;
  Grid grid;
  Range range;                       ///< of the scheme, shape Q
  std::optional<Encoding> encoding;  ///< set when folded: codes, scale and offset are the truth from then on
  bool may_train = true;             ///< false: layer_config says round-to-nearest
  bool trained = false;              ///< by AdaScale; false: round-to-nearest
  Grid asked = {};                   ///< the grid that the options ask for
  std::string note = {};             ///< why `grid` is not that one (fit_grid.h)
  bool loaded = false;               ///< its grid and scales come from a file
  bool is_fixed = false;             ///< loaded to stay: another file does not replace it
};

}  // namespace adascale
