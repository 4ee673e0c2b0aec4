#pragma once
#include <string>

#include "adascale/quant/grid.h"
#include "adascale/quant/superblock.h"

namespace adascale {

/// Puts values on a grid, as stored: tensors of shape Q.
///
///   x = scale * (code + offset), or scale * code + minimum
struct Affine {
  at::Tensor scale;
  at::Tensor offset;                                ///< undefined when symmetric or with a minimum
  at::Tensor minimum = {};                          ///< undefined without; <= 0
  SuperblockParts scale_parts, minimum_parts = {};  ///< undefined without superblocks
};

/// The affine of a range, in its dtype. Throws (user), beginning with `name`, when a float
/// exceeds the grid's dtype.
Affine affine_of(const Range& range, const Grid& grid, const std::string& name = "quantizer");
/// The same without the check, for training, where values may be anything.
Affine storable_affine(const Range& range, const Grid& grid);

}  // namespace adascale
