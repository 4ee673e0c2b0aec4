#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/grid.h"

namespace adascale {

/// Scales or minima of superblocks (grid.h) as files store them.
struct SuperblockParts {
  at::Tensor integers;  ///< one a group, shape Q; in the dtype of the values
  at::Tensor floats;    ///< one a superblock, representable in grid.scale_dtype: Q with fewer groups
};

/// Nearest integers for the float that just holds the largest: scale / (2^bits - 1) when
/// unsigned, -scale / 2^(bits-1) when signed, where the integers reach farther below. None is 0:
/// a scale is a divisor.
SuperblockParts superblock_scales(const at::Tensor& scale, const Grid& grid);
/// The same for minima <= 0, by their absolute values; 0 is one of the integers.
SuperblockParts superblock_minima(const at::Tensor& minimum, const Grid& grid);
/// integers * floats, of shape Q.
at::Tensor product(const SuperblockParts& parts, const Grid& grid);

}  // namespace adascale
