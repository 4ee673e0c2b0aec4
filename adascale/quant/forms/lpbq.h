#pragma once
#include "adascale/quant/forms/form.h"

namespace adascale {

/// AIMET's LPBQ: a group's scale is an integer 1..2^block_scale_bits times one float per channel.
/// An encoding of it has two parts:
///   "block_scale_int"  int16, of shape Q
///   "channel_scale"    fp32, Q with one along the groups
inline constexpr const char* kBlockScaleInt = "block_scale_int";
inline constexpr const char* kChannelScale = "channel_scale";

/// The two parts of such scales: `per_block` (shape Q) times `per_channel` (one along the groups).
///   per_channel = max over the groups / 2^n, as stored
///   per_block   = clamp(round(scale / per_channel), 1, 2^n)
struct BlockScales {
  at::Tensor per_block, per_channel;
};
BlockScales block_scales(const at::Tensor& scale, const Grid& grid);

}  // namespace adascale
