#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

inline constexpr int kBiasBits = 32;

/// How one tensor is quantized, in the terms common to all versions of encodings files:
///   x = scale * (unsigned code + lowest), unsigned codes 0..2^bits - 1.
struct EncodingRecord {
  std::string name;  ///< of the tensor in the file
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

/// The axis of a weight along which its scales form blocks; -1: none. A stack of matrices has
/// scales along several axes, which one number cannot name: there it is an axis without scales
/// of its own, as one block.
int64_t block_axis_of(const Grid& grid, int64_t rank);
/// The length of a block along that axis; 0: no blocks.
int64_t block_size_of(const Grid& grid, at::IntArrayRef weight_sizes);

/// Whether a channel has one scale but could have several: files then call it per channel.
bool has_one_block(const Grid& grid, at::IntArrayRef weight_sizes);

/// The record of a quantized weight.
EncodingRecord record_of(const Encoding& encoding);
/// The record of an activation that has an encoding.
EncodingRecord record_of(const ActivationQuantizer& quantizer, const std::string& name);

/// The biases of layers whose input has an encoding, as AIMET derives them: int32,
/// scale = the input's times the channel's (LPBQ: its float; blocks: the largest). The
/// first reader of a bias decides.
std::vector<EncodingRecord> bias_records(const QuantizationSimModel& sim);

}  // namespace adascale
