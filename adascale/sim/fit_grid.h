#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "adascale/quant/grid.h"
#include "adascale/sim/layers.h"

namespace adascale {

/// The grid on which a weight is trained, when a file needs another one than the options ask for.
struct FittedGrid {
  Grid grid;
  std::string note = {};  ///< for the user, where the grid differs: "rows of 576: Q5_0 instead"
};

/// Called with the layer, its weight and the grid asked for. Throws (user), beginning with the
/// layer's name, where the file can hold no similar grid.
using FitGrid = std::function<FittedGrid(const Layer&, const at::Tensor& weight, const Grid& asked)>;

}  // namespace adascale
