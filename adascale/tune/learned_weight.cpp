#include "adascale/tune/learned_weight.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "adascale/core/error.h"
#include "adascale/quant/group_pass.h"
#include "adascale/tune/adam.h"
#include "adascale/tune/signed_steps.h"

namespace adascale {
namespace {

constexpr int64_t kFewestSteps = 64;  // among which a budget's rates are shared

/// `Pass`: WeightPass or GroupPass.
template <class Pass>
class FusedWeight : public LearnedWeight {
 public:
  FusedWeight(const AdaScaleQuantizer& quantizer, c10::ScalarType type, Pass pass)
      : quantizer_(quantizer), type_(type), pass_(std::move(pass)) {}
  at::Tensor weight() override { return quantizer_.in_source_layout(pass_.weight()).to(type_); }
  std::vector<at::Tensor> leaves() const override { return {pass_.weight()}; }
  void step(double decay) override { pass_.step(decay); }

 private:
  const AdaScaleQuantizer& quantizer_;
  c10::ScalarType type_;
  Pass pass_;
};

/// `Mover`: Adam or SignedSteps.
template <class Mover>
class AutogradWeight : public LearnedWeight {
 public:
  AutogradWeight(const AdaScaleQuantizer& quantizer, Mover scales, Mover rounding)
      : quantizer_(quantizer), scales_(std::move(scales)), rounding_(std::move(rounding)) {}
  at::Tensor weight() override { return quantizer_.quantized_weight(); }
  std::vector<at::Tensor> leaves() const override { return quantizer_.learnables(); }
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
  const AdaScaleState& state = quantizer.state();
  const c10::ScalarType type = state.source_dtype == at::kFloat ? compute_type : state.source_dtype;
  const c10::ScalarType output = type == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
  if (kernels_take(state))
    return std::make_unique<FusedWeight<WeightPass>>(quantizer, type, WeightPass(state, rule, output));
  if (group_kernels_are_on(state.s2.device()) && GroupPass::takes(state)) {
    const GroupVariant variant = GroupPass::variant_of(state, rule.update, output);
    if (auto kernels = fits_kernels(variant) ? find_group_kernels(state.s2.device(), variant) : nullptr)
      return std::make_unique<FusedWeight<GroupPass>>(quantizer, type,
                                                      GroupPass(state, rule, output, std::move(kernels)));
  }
  return make_autograd_weight(quantizer, rule);
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
