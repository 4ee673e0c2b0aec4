#pragma once
#include <optional>
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "cli/metrics.h"

namespace adascale {

/// One float output of a program, compared over all batches.
struct OutputComparison {
  std::string name;
  OutputMetrics metrics;
  std::optional<TokenMetrics> tokens;  ///< where it is logits over tokens (token_logits.h)
};

/// Runs both programs on the batches. Positions that the attention mask leaves out count in none of the
/// metrics of token logits. Throws (user) when the quantized program has other outputs, or there is no float
/// output to compare.
std::vector<OutputComparison> compare(const Program& fp, const Program& quant,
                                      const std::vector<Inputs>& batches);

}  // namespace adascale
