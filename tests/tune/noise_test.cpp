#include "adascale/tune/noise.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "adascale/core/seed.h"

namespace adascale {
namespace {

TEST(Noise, IsTheSeedsAndThePositionsAlone) {
  const at::Tensor noise = uniform_noise({3, 5}, 7, at::kCPU);
  for (uint64_t i = 0; i < 15; ++i)
    EXPECT_EQ(noise.view({-1})[static_cast<int64_t>(i)].item<float>(),
              static_cast<float>(derive_seed(7, i) >> 40) / 16777216.0F);
  EXPECT_TRUE(uniform_noise({15}, 7, at::kCPU).equal(noise.view({-1}))) << "whatever the shape";
  EXPECT_FALSE(uniform_noise({3, 5}, 8, at::kCPU).equal(noise));
}

TEST(Noise, IsTheSameWithAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor by_many = uniform_noise({1 << 18}, 1, at::kCPU);
  at::set_num_threads(1);
  const at::Tensor by_one = uniform_noise({1 << 18}, 1, at::kCPU);
  at::set_num_threads(threads);
  EXPECT_TRUE(by_one.equal(by_many));
}

// Bounds of five standard deviations.
TEST(Noise, IsUniform) {
  constexpr int64_t kCount = 1 << 20;
  const at::Tensor noise = uniform_noise({kCount}, 3, at::kCPU);
  EXPECT_GE(noise.min().item<float>(), 0);
  EXPECT_LT(noise.max().item<float>(), 1);
  EXPECT_NEAR(noise.mean().item<double>(), 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  const at::Tensor bins = noise.histc(16, 0, 1);
  const double expected = kCount / 16.0;
  EXPECT_LT((bins - expected).abs().max().item<double>(), 5 * std::sqrt(expected));
  const at::Tensor centred = noise - 0.5;
  const double correlation =
      (centred.slice(0, 1) * centred.slice(0, 0, kCount - 1)).mean().item<double>() * 12;
  EXPECT_LT(std::abs(correlation), 5 / std::sqrt(static_cast<double>(kCount)));
}

}  // namespace
}  // namespace adascale
