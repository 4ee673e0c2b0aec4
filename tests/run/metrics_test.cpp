#include "adascale/run/metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace adascale {
namespace {

TEST(OutputMetrics, KnownNumbers) {
  OutputMetrics metrics;
  metrics.add(at::tensor({3.0f, 4.0f}).view({1, 2}), at::tensor({3.0f, 3.0f}).view({1, 2}));
  EXPECT_NEAR(metrics.sqnr_db(), 10 * std::log10(25.0), 1e-9);
  EXPECT_NEAR(metrics.mean_cosine(), 21 / (5 * std::sqrt(18.0)), 1e-6);
  EXPECT_EQ(metrics.top1_agreement(), 0.0);
}

TEST(OutputMetrics, BatchesAddUpToTheWhole) {
  const at::Tensor x = at::randn({7, 3, 5}), y = x + 0.1 * at::randn({7, 3, 5});
  OutputMetrics whole, parts;
  whole.add(x, y);
  parts.add(x.narrow(0, 0, 4), y.narrow(0, 0, 4));
  parts.add(x.narrow(0, 4, 3), y.narrow(0, 4, 3));
  EXPECT_NEAR(parts.sqnr_db(), whole.sqnr_db(), 1e-5);
  EXPECT_NEAR(parts.mean_cosine(), whole.mean_cosine(), 1e-6);
  EXPECT_NEAR(*parts.top1_agreement(), *whole.top1_agreement(), 1e-12);
}

TEST(OutputMetrics, EqualAndZeroVectors) {
  OutputMetrics same, none;
  same.add(at::zeros({2, 3}), at::zeros({2, 3}));
  EXPECT_EQ(same.mean_cosine(), 1.0);
  none.add(at::tensor({1.0f, 0.0f}), at::zeros({2}));
  EXPECT_EQ(none.mean_cosine(), 0.0);
  OutputMetrics exact;
  exact.add(at::tensor({1.0f, 2.0f}), at::tensor({1.0f, 2.0f}));
  EXPECT_TRUE(std::isinf(exact.sqnr_db()));
}

TEST(OutputMetrics, NoChoiceBetweenOneClass) {
  OutputMetrics metrics;
  metrics.add(at::randn({4, 1}), at::randn({4, 1}));
  EXPECT_FALSE(metrics.top1_agreement().has_value());
  OutputMetrics scalar;
  scalar.add(at::tensor(2.0f), at::tensor(2.5f));
  EXPECT_FALSE(scalar.top1_agreement().has_value());
  EXPECT_NEAR(scalar.sqnr_db(), 10 * std::log10(16.0), 1e-6);
}

/// Logits [1, 3, 2] whose probabilities are `p` and 1 - p at every position.
at::Tensor logits_of(float p) {
  return at::log(at::tensor({p, 1 - p})).view({1, 1, 2}).expand({1, 3, 2});
}

TEST(TokenMetrics, KnownNumbers) {
  TokenMetrics metrics;
  metrics.add(logits_of(0.25f), logits_of(0.5f), at::zeros({1, 3}, at::kLong), {});
  EXPECT_NEAR(metrics.kl_divergence(), 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-6);
  EXPECT_NEAR(*metrics.fp_perplexity(), 4, 1e-5);
  EXPECT_NEAR(*metrics.quant_perplexity(), 2, 1e-5);
}

// Logits are looked at two rows at a time.
TEST(TokenMetrics, OfAWideVocabularyAreThoseOfTheFormulas) {
  const int64_t vocabulary = (1 << 21) - 5;
  const at::Tensor fp = at::randn({2, 5, vocabulary}), quant = fp + 0.3 * at::randn({2, 5, vocabulary});
  const at::Tensor ids = at::randint(vocabulary, {2, 5}, at::kLong), keep = at::ones({2, 5}, at::kBool);
  keep[1][3].fill_(false);
  TokenMetrics metrics;
  metrics.add(fp, quant, ids, keep);
  double kl = 0, nll = 0, choices = 0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t t = 0; t < 5; ++t) {
      if (!keep[i][t].item<bool>()) continue;
      const at::Tensor p = fp[i][t].to(at::kDouble).log_softmax(0),
                       q = quant[i][t].to(at::kDouble).log_softmax(0);
      kl += (p.exp() * (p - q)).sum().item<double>() / 9;
      choices += fp[i][t].argmax().equal(quant[i][t].argmax()) ? 1 : 0;
      if (t < 4 && keep[i][t + 1].item<bool>()) nll -= q[ids[i][t + 1].item<int64_t>()].item<double>() / 6;
    }
  // Log probabilities around -15 in fp32 are off by up to 1e-6, and a sum of exponentials by the same for all.
  EXPECT_NEAR(metrics.kl_divergence(), kl, 1e-5);
  EXPECT_NEAR(*metrics.quant_perplexity() / std::exp(nll), 1, 1e-5);
  OutputMetrics outputs;
  outputs.add(fp, quant, keep);
  EXPECT_NEAR(*outputs.top1_agreement(), choices / 9, 1e-12);
}

TEST(TokenMetrics, TheNextTokenIsPredicted) {
  // The first token, 1, is not predicted; the others are 0.
  TokenMetrics metrics;
  metrics.add(logits_of(0.25f), logits_of(0.5f), at::tensor({1, 0, 0}, at::kLong).view({1, 3}), {});
  EXPECT_NEAR(*metrics.fp_perplexity(), 4, 1e-5);
}

TEST(TokenMetrics, PaddingDoesNotCount) {
  const at::Tensor keep = at::tensor({1, 1, 0}, at::kLong).view({1, 3}).ne(0);
  at::Tensor quant = logits_of(0.25f).clone();
  quant[0][2][0] = 50;  // at the padding
  TokenMetrics metrics;
  metrics.add(logits_of(0.25f), quant, at::tensor({0, 0, 1}, at::kLong).view({1, 3}), keep);
  EXPECT_NEAR(metrics.kl_divergence(), 0, 1e-6);
  EXPECT_NEAR(*metrics.quant_perplexity(), 4, 1e-5);
}

TEST(TokenMetrics, NoPairNoPerplexity) {
  TokenMetrics metrics;
  metrics.add(logits_of(0.5f).narrow(1, 0, 1), logits_of(0.5f).narrow(1, 0, 1), at::zeros({1, 1}, at::kLong),
              {});
  EXPECT_FALSE(metrics.fp_perplexity().has_value());
}

}  // namespace
}  // namespace adascale
