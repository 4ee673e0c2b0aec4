#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "adascale/run/token_trace.h"

namespace adascale {

/// Vectors [n, d] of two tensors, fp32 or fp64.
using VectorsVisitor = std::function<void(const at::Tensor&, const at::Tensor&)>;

/// Calls `visit` with the vectors of two tensors of one shape [..., d], some at a time: logits over a large vocabulary
/// are the largest tensors of a run, and metrics copy what they look at. `keep` is bool of the shape [...]; where it is
/// false, vectors are left out; undefined, none is.
void visit_vectors(const at::Tensor& a, const at::Tensor& b, const at::Tensor& keep,
                   const VectorsVisitor& visit);

/// How far a quantized output is from the float one, over any number of batches; sums are kept in fp64.
class OutputMetrics {
 public:
  /// Floating tensors of one shape [..., d]; a vector is the last dimension. `keep` as in visit_vectors().
  void add(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& keep = {});

  bool is_used() const { return vectors_ > 0; }  ///< whether anything was added
  /// 10 log10(sum fp^2 / sum (fp - quant)^2); +inf when equal.
  double sqnr_db() const;
  /// Mean over vectors; of two zero vectors 1, of one 0.
  double mean_cosine() const;
  /// Share of vectors whose largest element is at the same place; nothing unless d >= 2.
  std::optional<double> top1_agreement() const;

 private:
  void add_vectors(const at::Tensor& x, const at::Tensor& y);

  double signal_ = 0, noise_ = 0, cosine_ = 0;
  int64_t vectors_ = 0, agreements_ = 0;
  bool has_choice_ = false;
};

/// Metrics that exist only for logits over tokens.
class TokenMetrics {
 public:
  /// Logits [batch, seq, vocab], ids int64 [batch, seq]; `keep` bool [batch, seq], false
  /// at padding, or undefined.
  void add(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& ids, const at::Tensor& keep);

  /// Mean KL(fp || quant) per kept token, in nats.
  double kl_divergence() const { return kl_ / static_cast<double>(tokens_); }
  /// exp of the mean negative log likelihood of each kept token after a kept token;
  /// nothing without such pairs.
  std::optional<double> fp_perplexity() const { return perplexity(fp_nll_); }
  std::optional<double> quant_perplexity() const { return perplexity(quant_nll_); }
  const TokenTrace& trace() const { return trace_; }

 private:
  /// Of one sample's logits [seq, vocab], `count` positions from `start` on.
  void add_tokens(const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& ids,
                  const at::Tensor& kept, int64_t start, int64_t count);
  std::optional<double> perplexity(double nll) const;

  double kl_ = 0, fp_nll_ = 0, quant_nll_ = 0;
  int64_t tokens_ = 0, pairs_ = 0;
  TokenTrace trace_;
};

}  // namespace adascale
