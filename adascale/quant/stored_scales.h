#pragma once
#include <string>

#include "adascale/quant/encoding.h"

namespace adascale {

/// All of an encoding but its codes: scale, offset, minimum and parts as the grid stores them.
Encoding stored_scales(const std::string& name, const Affine& affine, const Grid& grid);

}  // namespace adascale
