#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Squared error, summed over dim 1, averaged over the rest (AIMET's loss); fp32. Below two dims: the mean.
at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target);

/// What a token's (or pixel's) squared error is divided by, fp32, above zero: p^0.3 m^0.7, where p is the token's power,
/// the mean square of the target along `channel_dim` (from the end), and m the geometric mean of all tokens' powers. A
/// power close to zero has a small share of the mean over all instead. `mask`: bool of the tokens' sizes, false at
/// padding, which does not count; undefined or of other sizes: all count.
at::Tensor token_divisor(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask = {});

/// Squared error along `channel_dim`, divided by token_divisor, averaged over all tokens or pixels; fp32. Divided by
/// each token's own power, the massive activations of a few tokens would count as any other, and what later layers draw
/// from them (attention sinks) would be lost. Divided by one number for all, they would outweigh the rest a hundredfold.
/// `mask`: as of token_divisor.
at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                          const at::Tensor& mask = {});

/// The dim of the channels in a block's output, counted from the end: that of the last layer before
/// it if it is a convolution and nothing in between moves dims, else the last dim.
int64_t channel_dim_of(const Program& program, const Block& block, ValueId output);

}  // namespace adascale
