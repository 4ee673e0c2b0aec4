#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Squared error, summed over dim 1, averaged over the rest (AIMET's loss); fp32. Below two dims: the mean.
at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target);

/// Squared error over the target's mean square, both along `channel_dim` (from the end), averaged over all
/// tokens or pixels; fp32. So a token counts as much as any other, where the massive activations of a few
/// would outweigh the rest a hundredfold. A token of nearly nothing is measured against the mean of all.
at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim);

/// Where the channels of a block's output are, from the end: where the convolution puts them that is the last
/// layer before it, with nothing between that moves dims; else the last dim.
int64_t channel_dim_of(const Program& program, const Block& block, ValueId output);

}  // namespace adascale
