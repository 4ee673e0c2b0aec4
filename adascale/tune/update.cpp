#include "adascale/tune/update.h"

#include <cmath>
#include <numbers>

#include "adascale/core/error.h"
#include "adascale/tune/adam.h"
#include "adascale/tune/signed_steps.h"

namespace adascale {
namespace {

using Quantizers = std::vector<AdaScaleQuantizer>;

std::vector<at::Tensor> gather(const Quantizers& quantizers,
                               std::vector<at::Tensor> (AdaScaleQuantizer::*part)() const) {
  std::vector<at::Tensor> all;
  for (const AdaScaleQuantizer& quantizer : quantizers)
    for (const at::Tensor& tensor : (quantizer.*part)()) all.push_back(tensor);
  return all;
}

class AdamUpdate : public Update {
 public:
  AdamUpdate(const Recipe& recipe, const Quantizers& quantizers)
      : scales_(gather(quantizers, &AdaScaleQuantizer::scale_learnables), recipe.scale_rate),
        rounding_(gather(quantizers, &AdaScaleQuantizer::rounding_learnables), recipe.rounding_rate) {}
  void step(double decay) override {
    scales_.step(decay);
    rounding_.step(decay);
  }

 private:
  Adam scales_, rounding_;
};

class SignedUpdate : public Update {
 public:
  SignedUpdate(const Recipe& recipe, const Quantizers& quantizers, double iterations)
      : scales_(gather(quantizers, &AdaScaleQuantizer::scale_learnables), {}, recipe.scale_rate / iterations),
        rounding_(gather(quantizers, &AdaScaleQuantizer::rounding_learnables),
                  gather(quantizers, &AdaScaleQuantizer::code_steps), recipe.rounding_rate / iterations) {}
  void step(double decay) override {
    scales_.step(decay);
    rounding_.step(decay);
  }

 private:
  SignedSteps scales_, rounding_;
};

}  // namespace

std::unique_ptr<Update> make_update(const Recipe& recipe, const Quantizers& quantizers, int64_t iterations) {
  ADA_ASSERT(recipe.trains() && iterations > 0, "a recipe that does not train");
  if (recipe.update == UpdateRule::kAdam) return std::make_unique<AdamUpdate>(recipe, quantizers);
  return std::make_unique<SignedUpdate>(recipe, quantizers, static_cast<double>(iterations));
}

double cosine_decay(int64_t iteration, int64_t total) {
  return 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(iteration) / static_cast<double>(total)));
}

}  // namespace adascale
