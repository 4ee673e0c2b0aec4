#include "adascale/tune/output_draw.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "adascale/tune/loss.h"
#include "adascale/tune/noise.h"

namespace adascale {
namespace {

/// p - onehot(y), by position. y is where the sum of probabilities passes a random number.
at::Tensor drawn_tokens(const at::Tensor& fp, uint64_t seed) {
  constexpr int64_t kElements = 1 << 23;  // of the temporaries
  const int64_t vocabulary = fp.size(-1);
  const at::Tensor logits = fp.reshape({-1, vocabulary});
  const at::Tensor random = uniform_noise({logits.size(0), 1}, seed, fp.device());
  const at::Tensor gradient = at::softmax(logits, -1, at::kFloat);
  const int64_t step = std::max<int64_t>(kElements / vocabulary, 1);
  for (int64_t start = 0; start < logits.size(0); start += step) {
    const int64_t rows = std::min(step, logits.size(0) - start);
    const at::Tensor p = gradient.narrow(0, start, rows);
    const at::Tensor passed = p.cumsum(-1).lt(random.narrow(0, start, rows)).sum(-1, /*keepdim=*/true);
    const at::Tensor y = passed.clamp_max(vocabulary - 1);  // the sum may end below 1
    p.scatter_add_(-1, y, at::ones({rows, 1}, p.options()).neg());
  }
  return gradient.reshape(fp.sizes());
}

at::Tensor drawn_signs(const at::Tensor& fp, uint64_t seed, const at::Tensor& keep) {
  const at::Tensor signs = uniform_noise(fp.sizes(), seed, fp.device()).sub(0.5).sign();
  return signs.div(token_power(fp, -1, keep).mul(fp.size(-1)).sqrt().unsqueeze(-1));
}

}  // namespace

OutputDraw draw_output(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& fp,
                       uint64_t seed) {
  const at::NoGradGuard no_grad;
  const at::Tensor keep = kept_positions(output, inputs, fp);
  at::Tensor gradient = output.tokens ? drawn_tokens(fp, seed) : drawn_signs(fp, seed, keep);
  const double factor = output.tokens ? 0.5 : 1;
  if (!keep.defined())
    return {gradient, static_cast<double>(fp.numel() / std::max<int64_t>(fp.size(-1), 1)), factor};
  gradient.mul_(keep.unsqueeze(-1));
  return {gradient, std::max(keep.sum().item<double>(), 1.0), factor};
}

}  // namespace adascale
