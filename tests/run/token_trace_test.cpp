#include "adascale/run/token_trace.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numeric>

#include "adascale/run/metrics.h"

namespace adascale {
namespace {

/// Two samples of 30 tokens over 5 words; the second model differs at one place of each sample, more in the second.
struct Logits {
  at::Tensor fp = at::zeros({2, 30, 5}), quant = at::zeros({2, 30, 5}),
             ids = at::arange(60).view({2, 30}) % 5;
  Logits() {
    fp[0][12][3] = 2;
    fp[1][28][1] = 4;
    quant[1][28][4] = 4;
  }
};

TEST(TokenTrace, FindsTheWorstTokenOfEachSample) {
  const Logits logits;
  TokenMetrics metrics;
  metrics.add(logits.fp, logits.quant, logits.ids, {});
  const TokenTrace& trace = metrics.trace();
  ASSERT_EQ(trace.samples().size(), 2u);
  const SampleTrace &first = trace.samples()[0], &second = trace.samples()[1];
  EXPECT_EQ(first.worst.position, 12);
  EXPECT_EQ(first.worst.before, (std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2}));
  EXPECT_EQ(first.worst.fp_next, 3);
  EXPECT_EQ(second.worst.position, 28);
  EXPECT_EQ(second.worst.before.size(), 24u);
  EXPECT_EQ(second.worst.before.back(), 3);
  EXPECT_EQ(second.worst.fp_next, 1);
  EXPECT_EQ(second.worst.quant_next, 4);
  EXPECT_GT(second.worst.kl, first.worst.kl);
  EXPECT_NEAR(first.mean(), first.worst.kl / 30, 1e-6);
}

TEST(TokenTrace, PositionsSamplesAndBinsAddUpToTheMean) {
  const at::Tensor fp = at::randn({3, 9, 7}), quant = fp + 0.1 * at::randn({3, 9, 7});
  const at::Tensor ids = at::zeros({3, 9}, at::kLong);
  at::Tensor keep = at::ones({3, 9}, at::kBool);
  keep[2].narrow(0, 4, 5).fill_(false);
  TokenMetrics metrics;
  metrics.add(fp, quant, ids, keep);
  const TokenTrace& trace = metrics.trace();
  const double whole = metrics.kl_divergence() * 22;
  EXPECT_NEAR(std::accumulate(trace.kl_at().begin(), trace.kl_at().end(), 0.0), whole, 1e-5);
  EXPECT_EQ(trace.tokens_at(), (std::vector<int64_t>{3, 3, 3, 3, 2, 2, 2, 2, 2}));
  double samples = 0;
  for (const SampleTrace& sample : trace.samples()) samples += sample.kl;
  EXPECT_NEAR(samples, whole, 1e-5);
  EXPECT_EQ(trace.samples()[2].tokens, 4);
  EXPECT_EQ(std::accumulate(trace.histogram().begin(), trace.histogram().end(), int64_t{0}), 22);
}

TEST(TokenTrace, ABinHoldsWhatIsBetweenItsEnds) {
  TokenTrace trace;
  trace.begin_sample();
  const at::Tensor kl = at::tensor({0.0, 1e-12, 1.2e-8, 0.02, 1e9}, at::kDouble);
  const at::Tensor p = at::zeros({5, 2});
  trace.add(0, kl, at::ones({5}, at::kBool), at::zeros({5}, at::kLong), p, p);
  EXPECT_EQ(trace.histogram()[0], 3);   // too small for it, too, and none at all
  EXPECT_EQ(trace.histogram()[25], 1);  // 10^-1.75 = 0.0178 to 10^-1.5
  EXPECT_EQ(trace.histogram().back(), 1);
  EXPECT_EQ(trace.samples()[0].worst.position, 4);
}

TEST(TokenTrace, NaNIsTheWorstOfAll) {
  TokenTrace trace;
  trace.begin_sample();
  const at::Tensor kl = at::tensor({5.0, std::nan(""), 0.1}, at::kDouble);
  const at::Tensor p = at::zeros({3, 2});
  trace.add(0, kl, at::ones({3}, at::kBool), at::zeros({3}, at::kLong), p, p);
  EXPECT_EQ(trace.histogram().back(), 1);
  EXPECT_EQ(trace.histogram()[0], 0);
  EXPECT_EQ(trace.samples()[0].worst.position, 1);
  EXPECT_TRUE(std::isinf(trace.samples()[0].mean()));
}

TEST(TokenTrace, ASampleOfPaddingHasNoWorstToken) {
  const Logits logits;
  at::Tensor keep = at::ones({2, 30}, at::kBool);
  keep[0].fill_(false);
  TokenMetrics metrics;
  metrics.add(logits.fp, logits.quant, logits.ids, keep);
  EXPECT_EQ(metrics.trace().samples()[0].tokens, 0);
  EXPECT_LT(metrics.trace().samples()[0].worst.kl, 0);
  EXPECT_EQ(metrics.trace().samples()[0].mean(), 0);
}

}  // namespace
}  // namespace adascale
