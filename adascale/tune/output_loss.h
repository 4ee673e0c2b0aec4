#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

#include "adascale/sim/token_logits.h"

namespace adascale {

/// The output of a program by which all of it is compared, and how.
struct ComparedOutput {
  ValueId value = kNone;                   ///< its first float tensor; kNone: it has none
  std::optional<TokenInputs> tokens = {};  ///< where it is logits over tokens
  std::optional<size_t> padding = {};      ///< padding_input
};
ComparedOutput compared_output(const Program& program);
/// Bool [batch, seq] on the values' device, false at padding, for values [batch, seq, channels]; undefined: all count.
at::Tensor kept_positions(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& values);

/// How far a quantized output is from the full-precision one's: a mean over positions. The gradient is that of the sum, so
/// that it does not underflow in a short dtype, and batches of different sizes count by their positions.
struct OutputLoss {
  double loss = 0;
  at::Tensor gradient;  ///< by the quantized output, of its shape, fp32
};

/// Mean KL(fp || quant) of softmaxes over the last dim of logits [..., vocab], in nats, over the positions where `keep`
/// (bool [...]; undefined: everywhere) is true. Temporaries are of some positions at a time.
OutputLoss divergence(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep = {});
/// relative_loss along the last dim, over the positions where `keep` is true.
OutputLoss relative_error(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep = {});

/// For logits the divergence, else the relative error; padding left out.
OutputLoss output_loss(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& fp,
                       const at::Tensor& quant);

}  // namespace adascale
