#pragma once
#include <cstdint>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// A weight and grids on which it might be put.
struct WeightGrids {
  int32_t weight;  ///< of the sim's
  std::vector<Grid> grids;
};

struct SensitivitySettings {
  StartRange start = StartRange::kScheme;  ///< of the ranges in which weights are rounded
  int64_t seed = 0;
};

/// For each weight and each of its grids, how far the output of the full-precision program goes if the weight alone is
/// rounded to nearest on it: for logits the mean KL divergence of a position, in nats, else the mean relative squared
/// error. To second order in the change dW, rounding errors taken as independent but for the mean m of a layer's inputs x:
///
///   1/2 sum_i r_i sum_j F_ij dW_ij^2,   F_ij = E g_ij^2,   g the gradient of -log p(y), y drawn from the program's own p
///   r_i = ((sum_j dW_ij m_j)^2 + sum_j dW_ij^2 (E x_j^2 - m_j^2)) / sum_j dW_ij^2 E x_j^2
///
/// F, the diagonal of the Fisher information, is kept as the product of its sums by output channel and by the rest, as
/// Adafactor keeps second moments (arXiv 1804.04235). An output that is no distribution is multiplied by random signs over
/// its norm instead, and there is no 1/2.
///
/// `samples`: one sample each. The first are taken: at most 16, and no more once they have 4096 positions, but four.
/// Changes nothing; the same for the same seed. Throws (user) where there is no gradient, or one that is not finite.
std::vector<std::vector<double>> output_losses(const QuantizationSimModel& sim,
                                               const std::vector<Block>& blocks,
                                               const std::vector<WeightGrids>& weights,
                                               const std::vector<Inputs>& samples,
                                               const SensitivitySettings& settings);

}  // namespace adascale
