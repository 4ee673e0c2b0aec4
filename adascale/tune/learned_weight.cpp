#include "adascale/tune/learned_weight.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "adascale/core/error.h"
#include "adascale/tune/adam.h"
#include "adascale/tune/signed_steps.h"

namespace adascale {
namespace {

constexpr int64_t kFewestSteps = 64;  // among which a budget's rates are shared

class FusedWeight : public LearnedWeight {
 public:
  FusedWeight(const AdaScaleQuantizer& quantizer, const StepRule& rule, c10::ScalarType type)
      : quantizer_(quantizer),
        type_(type),
        pass_(quantizer.state(), rule, type == at::kBFloat16 ? at::kBFloat16 : at::kFloat) {}
  at::Tensor weight() override { return quantizer_.in_source_layout(pass_.weight()).to(type_); }
  void step(double decay) override { pass_.step(decay); }

 private:
  const AdaScaleQuantizer& quantizer_;
  c10::ScalarType type_;
  WeightPass pass_;
};

/// `Mover`: Adam or SignedSteps.
template <class Mover>
class AutogradWeight : public LearnedWeight {
 public:
  AutogradWeight(const AdaScaleQuantizer& quantizer, Mover scales, Mover rounding)
      : quantizer_(quantizer), scales_(std::move(scales)), rounding_(std::move(rounding)) {}
  at::Tensor weight() override { return quantizer_.quantized_weight(); }
  void step(double decay) override {
    scales_.step(decay);
    rounding_.step(decay);
  }

 private:
  const AdaScaleQuantizer& quantizer_;
  Mover scales_, rounding_;
};

}  // namespace

StepRule step_rule(const Recipe& recipe, int64_t iterations) {
  ADA_ASSERT(recipe.trains() && iterations > 0, "a recipe that does not train");
  const bool shares_budget = recipe.update == UpdateRule::kSigned;
  // A short budget takes fewer steps, not longer ones: SmolLM2 at 3 bits has a perplexity of 450 after 8
  // steps of 1/8, of 20 after 8 of 1/64.
  const double share = shares_budget ? 1 / static_cast<double>(std::max(iterations, kFewestSteps)) : 1;
  return {recipe.update, recipe.scale_rate * share, recipe.rounding_rate * share};
}

std::unique_ptr<LearnedWeight> make_learned_weight(const AdaScaleQuantizer& quantizer, const StepRule& rule,
                                                   c10::ScalarType compute_type) {
  if (!kernels_take(quantizer.state())) return make_autograd_weight(quantizer, rule);
  const c10::ScalarType source = quantizer.state().source_dtype;
  return std::make_unique<FusedWeight>(quantizer, rule, source == at::kFloat ? compute_type : source);
}

std::unique_ptr<LearnedWeight> make_autograd_weight(const AdaScaleQuantizer& quantizer,
                                                    const StepRule& rule) {
  const auto scales = quantizer.scale_learnables(), rounding = quantizer.rounding_learnables();
  ADA_ASSERT(rule.update != UpdateRule::kStay, "a weight in training whose learnables stay");
  if (rule.update == UpdateRule::kAdam)
    return std::make_unique<AutogradWeight<Adam>>(quantizer, Adam(scales, rule.scale_rate),
                                                  Adam(rounding, rule.rounding_rate));
  return std::make_unique<AutogradWeight<SignedSteps>>(
      quantizer, SignedSteps(scales, {}, rule.scale_rate),
      SignedSteps(rounding, quantizer.code_steps(), rule.rounding_rate));
}

double cosine_decay(int64_t iteration, int64_t total) {
  return 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(iteration) / static_cast<double>(total)));
}

}  // namespace adascale
