#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Moves learnables after each backward pass.
class Update {
 public:
  virtual ~Update() = default;
  /// One step from the learnables' gradients, which are cleared; the rates are the recipe's times `decay`.
  virtual void step(double decay) = 0;
};

/// The recipe's rule for all learnables of these quantizers, which must outlive it. `iterations`: the budget.
std::unique_ptr<Update> make_update(const Recipe& recipe, const std::vector<AdaScaleQuantizer>& quantizers,
                                    int64_t iterations);

/// Cosine decay from 1 at iteration 0 towards 0 at `total` (arXiv 1608.03983, eq. 5, one cycle).
double cosine_decay(int64_t iteration, int64_t total);

}  // namespace adascale
