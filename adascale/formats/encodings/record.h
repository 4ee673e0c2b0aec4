#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

inline constexpr int kBiasBits = 32;

/// How one tensor is quantized, as an encodings file says it in any of its versions:
///   x = scale * (unsigned code + lowest), unsigned codes 0..2^bits - 1.
struct EncodingRecord {
  std::string name;  ///< the tensor's in the file
  int bits = 8;
  bool symmetric = false;
  bool is_signed = false;  ///< 2.x: codes from -2^(bits-1); activations are unsigned even around zero
  /// fp32 and int64, of the parameter's rank: 1 where a scale is shared, blocks along the
  /// block axis. []: per tensor.
  at::Tensor scale, lowest;
  int64_t channel_axis = -1;                ///< -1: per tensor
  int64_t block_axis = -1, block_size = 0;  ///< -1, 0: no blocks
  /// LPBQ: scale = block_scale * channel_scale, integers 1..2^block_scale_bits; else undefined and 0.
  at::Tensor block_scale, channel_scale;
  int block_scale_bits = 0;

  bool is_lpbq() const { return block_scale_bits > 0; }
};

/// The axis of a weight that its scales are cut in blocks along; -1: none. Of a stack of matrices, whose
/// scales have several axes that one number cannot name, an axis without scales of its own: one block.
int64_t block_axis_of(const Grid& grid, int64_t rank);
/// How long a block is along it; 0: no blocks.
int64_t block_size_of(const Grid& grid, at::IntArrayRef weight_sizes);

/// Whether a channel has one scale although it could have several: files say then that it has one a channel.
bool has_one_block(const Grid& grid, at::IntArrayRef weight_sizes);

/// Of a quantized weight.
EncodingRecord record_of(const Encoding& encoding);
/// Of an activation that has an encoding.
EncodingRecord record_of(const ActivationQuantizer& quantizer, const std::string& name);

/// The biases of layers whose input has an encoding, as AIMET derives them: int32, scale = the input's times
/// the channel's (LPBQ: its float; blocks: the largest). What reads a bias first decides.
std::vector<EncodingRecord> bias_records(const QuantizationSimModel& sim);

}  // namespace adascale
