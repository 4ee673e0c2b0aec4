#include "adascale/tune/output_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "adascale/tune/loss.h"

namespace adascale {

ComparedOutput compared_output(const Program& program) {
  for (const Argument& output : program.outputs)
    if (output.value != kNone && program.values[output.value].is_float_tensor())
      return {output.value, token_inputs(program, output.value), padding_input(program)};
  return {};
}

at::Tensor kept_positions(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& values) {
  if (!output.padding || values.dim() != 3) return {};
  const at::Tensor mask = inputs[*output.padding].toTensor();
  if (mask.sizes() != values.sizes().slice(0, 2)) return {};
  return mask.to(values.device()).ne(0);
}

OutputLoss divergence(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep) {
  const at::NoGradGuard no_grad;
  const int64_t elements = fp.is_cpu() ? 1 << 19 : 1 << 23;  // of the temporaries: in a CPU's cache
  const int64_t vocabulary = fp.size(-1);
  const at::Tensor p = fp.reshape({-1, vocabulary}), q = quant.reshape({-1, vocabulary});
  const at::Tensor weights = keep.defined() ? keep.reshape({-1}).to(fp.device(), at::kFloat)
                                            : at::ones({p.size(0)}, p.options().dtype(at::kFloat));
  const double positions = std::max(weights.sum().item<double>(), 1.0);
  at::Tensor gradient = at::empty({p.size(0), vocabulary}, p.options().dtype(at::kFloat));
  const int64_t step = std::max<int64_t>(elements / vocabulary, 1);
  double loss = 0;
  for (int64_t start = 0; start < p.size(0); start += step) {
    const int64_t rows = std::min(step, p.size(0) - start);
    const at::Tensor weight = weights.narrow(0, start, rows);
    const at::Tensor log_p = at::log_softmax(p.narrow(0, start, rows), -1, at::kFloat);
    const at::Tensor log_q = at::log_softmax(q.narrow(0, start, rows), -1, at::kFloat);
    const at::Tensor probability = log_p.exp();
    loss += probability.mul(log_p.sub(log_q)).sum(-1).mul(weight).sum().item<double>();
    gradient.narrow(0, start, rows).copy_(log_q.exp().sub_(probability).mul_(weight.unsqueeze(-1)));
  }
  return {loss / positions, gradient.reshape(quant.sizes())};
}

OutputLoss relative_error(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep) {
  const at::AutoGradMode grad(true);
  const at::Tensor leaf = quant.detach().to(at::kFloat).requires_grad_();
  const at::Tensor loss = relative_loss(leaf, fp, -1, keep);
  const double positions = keep.defined()
                               ? keep.sum().item<double>()
                               : static_cast<double>(leaf.numel() / std::max<int64_t>(leaf.size(-1), 1));
  loss.mul(positions).backward();
  return {loss.item<double>(), leaf.grad()};
}

OutputLoss output_loss(const ComparedOutput& output, const Inputs& inputs, const at::Tensor& fp,
                       const at::Tensor& quant) {
  const at::Tensor keep = kept_positions(output, inputs, quant);
  return output.tokens ? divergence(fp, quant, keep) : relative_error(fp, quant, keep);
}

}  // namespace adascale
