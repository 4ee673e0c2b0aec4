#pragma once
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn_like.h>

#include <vector>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/quant/step_rule.h"
#include "quant/quant_cases.h"

// What the tests of two ways to train a weight share.
namespace adascale {

inline const std::vector<StepRule> kRules = {
    {.update = UpdateRule::kAdam, .scale_rate = 1e-2, .rounding_rate = 2e-2},
    {.update = UpdateRule::kSigned, .scale_rate = 1e-3, .rounding_rate = 0.1}};
inline constexpr int kSteps = 5;

/// A quantizer away from its start, clipping some weights.
inline AdaScaleQuantizer moved_quantizer(const at::Tensor& w, const Grid& grid, int64_t input_axis = -1) {
  AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid), input_axis);
  const at::NoGradGuard no_grad;
  at::manual_seed(7);
  for (const at::Tensor& p : quantizer.learnables()) p.add_(at::randn_like(p), 0.1);
  for (const at::Tensor& p : quantizer.scale_learnables()) p.sub_(0.3);
  return quantizer;
}

inline double distance(const at::Tensor& x, const at::Tensor& y) {
  return (x.detach().to(kDouble) - y.detach().to(kDouble)).abs().max().item<double>();
}

/// The share of values further apart than rounding errors: a code at a border may fall either way.
inline double share_apart(const at::Tensor& x, const at::Tensor& y, double tolerance) {
  return (x.detach().to(kDouble) - y.detach().to(kDouble))
      .abs()
      .gt(tolerance)
      .to(kDouble)
      .mean()
      .item<double>();
}

}  // namespace adascale
