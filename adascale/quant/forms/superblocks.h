#pragma once
#include "adascale/quant/forms/form.h"

namespace adascale {

/// GGUF's K-quants: the groups of a superblock (superblock_size elements of a row) have scales, and
/// when asymmetric minima, that are integers of block_scale_bits times a float of the superblock.
///   x = d * scale_int * code - dmin * min_int    1 <= scale_int < 2^bits, 0 <= min_int < 2^bits
///   x = d * scale_int * code, symmetric          -2^(bits-1) <= scale_int < 2^(bits-1), not 0
/// The parts of an encoding: int16 of shape Q, and fp32 of Q with superblocks for groups.
inline constexpr const char* kScaleInt = "block_scale_int";
inline constexpr const char* kScaleFloat = "d";
inline constexpr const char* kMinimumInt = "block_min_int";
inline constexpr const char* kMinimumFloat = "dmin";

}  // namespace adascale
