#pragma once
#include <string>

#include "adascale/sim/fit_grid.h"

namespace adascale {

/// The grid of a GGUF type for a layer: that of `target` ("Q4_K") if the layer's bits are the
/// type's, else of the 32-block type of its bits and symmetry. Where rows are no multiple of 256,
/// it is the type that llama.cpp falls back to. The note names the type. Throws (user), beginning
/// with the layer's name, where there is none.
FittedGrid fit_gguf(const std::string& target, const Layer& layer, const at::Tensor& weight,
                    const Grid& asked);

}  // namespace adascale
