#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "adascale/quant/grid.h"
#include "adascale/sim/layers.h"

namespace adascale {

/// The grid that a weight is trained on, where a file holds another than the options ask for.
struct FittedGrid {
  Grid grid;
  std::string note = {};  ///< for the user, where it is not what they asked for: "rows of 576: Q5_0 instead"
};

/// From the layer, its weight and the grid asked for. Throws (user), beginning with the layer's name, where
/// nothing near can be held.
using FitGrid = std::function<FittedGrid(const Layer&, const at::Tensor& weight, const Grid& asked)>;

}  // namespace adascale
