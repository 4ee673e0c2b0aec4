#include "adascale/run/metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <cmath>

namespace adascale {
namespace {

/// [vectors, d] in fp32 (fp64 stays).
at::Tensor as_vectors(const at::Tensor& x) {
  const at::Tensor wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  return wide.reshape({-1, x.dim() == 0 ? 1 : x.size(-1)});
}

double sum_of_squares(const at::Tensor& x) {
  return x.square().sum(at::kDouble).item<double>();
}

at::Tensor cosines(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor x_norm = x.norm(2, {1}), y_norm = y.norm(2, {1});
  const at::Tensor cosine = (x / x_norm.unsqueeze(1) * (y / y_norm.unsqueeze(1))).sum(1);
  const at::Tensor x_zero = x_norm == 0, y_zero = y_norm == 0;
  return at::where(x_zero.logical_or(y_zero), x_zero.logical_and(y_zero).to(cosine.scalar_type()), cosine);
}

/// Summed over the kept positions: log probabilities [seq, vocab] of ids [seq].
double negative_log_likelihood(const at::Tensor& log_probabilities, const at::Tensor& next_ids,
                               const at::Tensor& keep) {
  const at::Tensor likelihood = log_probabilities.gather(1, next_ids.unsqueeze(1)).squeeze(1);
  return -likelihood.masked_select(keep).sum(at::kDouble).item<double>();
}

}  // namespace

void OutputMetrics::add(const at::Tensor& fp, const at::Tensor& quant) {
  const at::Tensor x = as_vectors(fp), y = as_vectors(quant);
  signal_ += sum_of_squares(x);
  noise_ += sum_of_squares(x - y);
  cosine_ += cosines(x, y).sum(at::kDouble).item<double>();
  vectors_ += x.size(0);
  has_choice_ = x.size(1) >= 2;
  if (has_choice_) agreements_ += x.argmax(1).eq(y.argmax(1)).sum().item<int64_t>();
}

double OutputMetrics::sqnr_db() const {
  return 10 * std::log10(signal_ / noise_);
}

double OutputMetrics::mean_cosine() const {
  return cosine_ / static_cast<double>(vectors_);
}

std::optional<double> OutputMetrics::top1_agreement() const {
  if (!has_choice_) return std::nullopt;
  return static_cast<double>(agreements_) / static_cast<double>(vectors_);
}

void TokenMetrics::add(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& ids,
                       const at::Tensor& keep) {
  const at::Tensor kept = keep.defined() ? keep : at::ones_like(ids, at::kBool);
  const int64_t seq = ids.size(1);
  // One sample at a time: logits over a large vocabulary are the largest tensors of a run.
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const at::Tensor p = fp[i].to(at::kFloat).log_softmax(-1), q = quant[i].to(at::kFloat).log_softmax(-1);
    kl_ += (p.exp() * (p - q)).sum(-1).masked_select(kept[i]).sum(at::kDouble).item<double>();
    tokens_ += kept[i].sum().item<int64_t>();
    const at::Tensor pair = kept[i].narrow(0, 0, seq - 1).logical_and(kept[i].narrow(0, 1, seq - 1));
    const at::Tensor next = ids[i].narrow(0, 1, seq - 1);
    fp_nll_ += negative_log_likelihood(p.narrow(0, 0, seq - 1), next, pair);
    quant_nll_ += negative_log_likelihood(q.narrow(0, 0, seq - 1), next, pair);
    pairs_ += pair.sum().item<int64_t>();
  }
}

std::optional<double> TokenMetrics::perplexity(double nll) const {
  if (pairs_ == 0) return std::nullopt;
  return std::exp(nll / static_cast<double>(pairs_));
}

}  // namespace adascale
