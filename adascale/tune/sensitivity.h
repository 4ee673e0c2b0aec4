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
/// error. To second order in the change dW it is
///
///   1/2 E (sum_ij g_ij dW_ij)^2,   g the gradient of -log p(y), y drawn from the program's own p
///
/// as SquaredGradient knows it: with the diagonal of the Fisher information, and with what adds up along the mean of the
/// layer's inputs, where these are known (not of einsum, recurrent layers and embeddings; of Bilinear the first one's). An
/// output that is no distribution is multiplied by random signs over its norm instead, and there is no 1/2.
///
/// `samples`: one sample each. The first are taken: at most 16, and no more once they have 4096 positions, but four.
/// Changes nothing; the same for the same seed. Throws (user) where there is no gradient, or one that is not finite.
std::vector<std::vector<double>> output_losses(const QuantizationSimModel& sim,
                                               const std::vector<Block>& blocks,
                                               const std::vector<WeightGrids>& weights,
                                               const std::vector<Inputs>& samples,
                                               const SensitivitySettings& settings);

}  // namespace adascale
