#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Squared error, summed over dim 1, averaged over the rest (AIMET's loss); fp32. Below two dims: the mean.
at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target);

/// What a token's (or pixel's) squared error is divided by, fp32, above zero: the geometric mean of its own power and of
/// the typical one, which is the geometric mean over all tokens. A token's power is the mean square of the target along
/// `channel_dim` (from the end); one close to zero has a small share of the mean over all. `mask`: bool of the tokens'
/// sizes, false at padding, which does not count; undefined or of other sizes: all count.
at::Tensor token_divisor(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask = {});

/// Squared error along `channel_dim`, divided by token_divisor, averaged over all tokens or pixels; fp32. Divided by one
/// number for all, the massive activations of a few tokens would outweigh the rest a hundredfold; divided by each
/// token's own power, they would count as any other token, and what later layers draw from them (attention sinks)
/// would be lost. `mask`: as of token_divisor.
at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                          const at::Tensor& mask = {});

/// The dim of the channels in a block's output, counted from the end: that of the last layer before
/// it if it is a convolution and nothing in between moves dims, else the last dim.
int64_t channel_dim_of(const Program& program, const Block& block, ValueId output);

}  // namespace adascale
