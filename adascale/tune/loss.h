#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Squared error, summed over dim 1, averaged over the rest (AIMET's loss); fp32. Below two dims: the mean.
at::Tensor summed_loss(const at::Tensor& output, const at::Tensor& target);

/// The mean square along `channel_dim` (from the end) of each token or pixel, fp32, above zero: one close to zero has
/// a small share of the mean over all. `mask`: bool of the tokens' sizes, false at padding, which does not count; undefined
/// or of other sizes: all count.
at::Tensor token_power(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask = {});

/// A token's relative error is its squared error over the target's mean square (token_power), both along
/// `channel_dim`; this is its mean over all tokens or pixels; fp32. `mask`: as of token_power.
at::Tensor relative_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                         const at::Tensor& mask = {});

/// The same, but that the tokens of a sample (dim 0 of the sizes) count by their power to the exponent 0.7: their mean
/// is a weighted one, and samples count by their number of tokens. At 0 the massive activations of a few tokens would
/// count as any other, and what later layers draw from them (attention sinks) would suffer; at 1, which is the squared
/// error, they would outweigh the rest a hundredfold. `factors`: token_factors of the target.
at::Tensor per_token_loss(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                          const at::Tensor& factors);

/// What per_token_loss multiplies each token's mean squared error by; fp32, of the tokens' sizes. `mask`: as of
/// token_power.
at::Tensor token_factors(const at::Tensor& target, int64_t channel_dim, const at::Tensor& mask = {});

/// The dim of the channels in a block's output, counted from the end: that of the last layer before
/// it if it is a convolution and nothing in between moves dims, else the last dim.
int64_t channel_dim_of(const Program& program, const Block& block, ValueId output);

}  // namespace adascale
