#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/kernels/update_rule.h"

namespace adascale {

/// The range from which a block's weights are trained.
enum class StartRange {
  kScheme,    ///< found by the simulation's scheme from the weight only
  kWeighted,  ///< least squared error, each input channel weighed by its mean square in the FP model
};

/// The measure of a block's output (tune/loss).
enum class LossKind {
  kSummed,    ///< AIMET's: squared error, summed over dim 1, averaged over the rest
  kPerToken,  ///< squared error over mean square, token by token (pixel by pixel), a weighted mean of them
};

/// How a block is trained. One row per recipe; the command, the docs and the tests walk the table.
///
/// Adam's rates are per iteration. Those of signed steps are sums over a budget of 64 iterations or
/// more, before decay; those of s2, s3 and s4 count in codes.
struct Recipe {
  std::string name;
  std::string description;
  StartRange start = StartRange::kScheme;
  LossKind loss = LossKind::kSummed;
  UpdateRule update = UpdateRule::kStay;
  double scale_rate = 0;     ///< of beta and gamma
  double rounding_rate = 0;  ///< of s2, s3, s4
  /// Probability that an element of the input comes from the FP model, redrawn each iteration.
  double fp_input_share = 0;
  bool takes_signed_scales = true;  ///< where the files hold them
  bool takes_bfloat16 = false;      ///< precision auto may run the layers' matmuls in bf16
  /// Trains a block anew with shorter steps if the recipe's own end worse than they began.
  bool shortens_steps = false;
  /// Of Adam on the logarithms of scales in the last stage (last_stage.h); 0: there is none.
  double last_stage_rate = 0;
  int64_t iterations = 0;  ///< the budget when neither epochs nor iterations are given to the command

  bool trains() const { return update != UpdateRule::kStay; }
};

const std::vector<Recipe>& recipes();
/// Throws (user) listing the known names.
const Recipe& recipe_named(const std::string& name);

}  // namespace adascale
