#pragma once
#include <cstdint>

#include "adascale/formats/format.h"

namespace adascale {

/// How large the model's parameters and buffers are, in bytes; a tensor under several names counts once.
struct ModelSize {
  int64_t weights = 0;        ///< quantized, in number
  int64_t layers_before = 0;  ///< the quantized weights in their original dtype
  int64_t layers_after = 0;   ///< their codes at their bits, packed, with scales and offsets
  int64_t rest = 0;           ///< everything else, unchanged
  int64_t before() const { return layers_before + rest; }
  int64_t after() const { return layers_after + rest; }
  /// Of a quantized weight, with scales and offsets. There must be one.
  double mean_bits() const { return 8.0 * static_cast<double>(layers_after) / static_cast<double>(weights); }
};

ModelSize size_of(const ModelToWrite& model);
/// Bytes of a program's parameters, buffers and constants; a tensor under several names counts once.
int64_t state_bytes(const Program& program);
/// Codes at `grid`'s bits, packed, plus per range one scale in its dtype and, when asymmetric,
/// one offset at its bits or one minimum in the scale's dtype. LPBQ and superblocks have integers
/// at their bits, and floats.
int64_t packed_bytes(at::IntArrayRef weight_sizes, const Grid& grid);

}  // namespace adascale
