#include "adascale/run/metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

namespace adascale {
namespace {

constexpr int64_t kElementsAtOnce = 1 << 22;

int64_t rows_at_once(int64_t width) {
  return std::max<int64_t>(1, kElementsAtOnce / std::max<int64_t>(1, width));
}

at::Tensor as_vectors(const at::Tensor& x) {
  return x.reshape({-1, x.dim() == 0 ? 1 : x.size(-1)});
}

/// fp32; fp64 stays.
at::Tensor widened(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
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

void visit_vectors(const at::Tensor& a, const at::Tensor& b, const at::Tensor& keep,
                   const VectorsVisitor& visit) {
  const at::Tensor x = as_vectors(a), y = as_vectors(b), kept = keep.defined() ? keep.flatten() : keep;
  const int64_t step = rows_at_once(x.size(1));
  for (int64_t start = 0; start < x.size(0); start += step) {
    const int64_t count = std::min(step, x.size(0) - start);
    at::Tensor some = x.narrow(0, start, count), others = y.narrow(0, start, count);
    if (kept.defined()) {
      const at::Tensor rows = kept.narrow(0, start, count).nonzero().squeeze(1);
      some = some.index_select(0, rows), others = others.index_select(0, rows);
    }
    if (some.numel() > 0) visit(widened(some), widened(others));
  }
}

void OutputMetrics::add(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep) {
  visit_vectors(fp, quant, keep, [this](const at::Tensor& x, const at::Tensor& y) { add_vectors(x, y); });
}

void OutputMetrics::add_vectors(const at::Tensor& x, const at::Tensor& y) {
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
  const int64_t seq = ids.size(1), step = rows_at_once(fp.size(2));
  for (int64_t i = 0; i < ids.size(0); ++i) {
    trace_.begin_sample();
    for (int64_t start = 0; start < seq; start += step)
      add_tokens(fp[i], quant[i], ids[i], kept[i], start, std::min(step, seq - start));
  }
}

void TokenMetrics::add_tokens(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& ids,
                              const at::Tensor& kept, int64_t start, int64_t count) {
  const auto log_probabilities = [&](const at::Tensor& logits) {
    return logits.narrow(0, start, count).to(at::kFloat).log_softmax(-1);
  };
  const at::Tensor p = log_probabilities(fp), q = log_probabilities(quant);
  const at::Tensor counts = kept.narrow(0, start, count);
  const at::Tensor kl = (p.exp() * (p - q)).sum(-1);
  kl_ += kl.masked_select(counts).sum(at::kDouble).item<double>();
  trace_.add(start, kl, counts, ids, p, q);
  tokens_ += counts.sum().item<int64_t>();
  const int64_t followed = std::min(count, ids.size(0) - 1 - start);  // the last token has none after it
  const at::Tensor pair = counts.narrow(0, 0, followed).logical_and(kept.narrow(0, start + 1, followed));
  const at::Tensor next = ids.narrow(0, start + 1, followed);
  fp_nll_ += negative_log_likelihood(p.narrow(0, 0, followed), next, pair);
  quant_nll_ += negative_log_likelihood(q.narrow(0, 0, followed), next, pair);
  pairs_ += pair.sum().item<int64_t>();
}

std::optional<double> TokenMetrics::perplexity(double nll) const {
  if (pairs_ == 0) return std::nullopt;
  return std::exp(nll / static_cast<double>(pairs_));
}

}  // namespace adascale
