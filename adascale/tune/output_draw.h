#pragma once
#include "adascale/tune/output_loss.h"

namespace adascale {

/// A random direction in which a program's output is looked at: the mean of its products' squares with a small change of
/// the output, times `factor` and divided by `positions`, is the change's loss (output_loss.h).
struct OutputDraw {
  at::Tensor gradient;   ///< of the output's shape, fp32
  double positions = 0;  ///< without padding
  double factor = 1;
};

/// For logits [..., vocab] the gradient of -log p(y) by them, y drawn for each position from p = softmax(fp): the Fisher
/// information is the KL divergence's second derivative. For another output random signs over the norm of a position.
/// The same for the same seed, on any device.
OutputDraw draw_output(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& fp,
                       uint64_t seed);

}  // namespace adascale
