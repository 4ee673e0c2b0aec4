#include "adascale/tune/loss.h"

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "formats/model_files.h"

namespace adascale {
namespace {

TEST(SummedLoss, SumsDimOneAndAveragesTheRest) {
  const at::Tensor target = at::zeros({2, 3, 4}), output = at::full({2, 3, 4}, 2.0f);
  EXPECT_DOUBLE_EQ(summed_loss(output, target).item<double>(), 3 * 4);
  EXPECT_DOUBLE_EQ(summed_loss(output.flatten(), target.flatten()).item<double>(), 4);
}

at::Tensor loss_of(const at::Tensor& output, const at::Tensor& target, int64_t channel_dim,
                   const at::Tensor& mask = {}) {
  return per_token_loss(output, target, channel_dim, token_factors(target, channel_dim, mask));
}

TEST(RelativeLoss, IsTheMeanOfRelativeErrors) {
  const at::Tensor target = at::tensor({3.0f, 4.0f, 0.3f, 0.4f}).view({1, 2, 2});
  const at::Tensor output = target + at::tensor({1.0f, 0.0f, 0.0f, 0.1f}).view({1, 2, 2});
  // (1/2) / (25/2) and (0.01/2) / (0.25/2)
  EXPECT_NEAR(relative_loss(output, target, -1).item<double>(), (0.04 + 0.04) / 2, 1e-7);
}

TEST(PerTokenLoss, WeighsRelativeErrorsByPower) {
  const at::Tensor target = at::tensor({3.0f, 4.0f, 0.3f, 0.4f}).view({1, 2, 2});
  const at::Tensor output = target + at::tensor({1.0f, 0.0f, 0.0f, 0.2f}).view({1, 2, 2});
  // The powers are 12.5 and 0.125, the relative errors 0.04 and 0.16.
  const double larger = std::pow(100.0, 0.7);  // than the other's weight
  EXPECT_NEAR(loss_of(output, target, -1).item<double>(), (larger * 0.04 + 0.16) / (larger + 1), 1e-7);
  EXPECT_NEAR(loss_of(output * 30, target * 30, -1).item<double>(),
              loss_of(output, target, -1).item<double>(), 1e-7);
}

TEST(PerTokenLoss, SamplesCountByTheirTokens) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({4, 5, 8}) * at::tensor({1.0f, 9.0f, 1.0f, 1.0f}).view({4, 1, 1});
  const at::Tensor output = target + at::randn({4, 5, 8});
  const auto loss = [&](int64_t first, int64_t samples) {
    return loss_of(output.narrow(0, first, samples), target.narrow(0, first, samples), -1).item<double>();
  };
  EXPECT_NEAR(loss(0, 4), (loss(0, 1) + loss(1, 1) + loss(2, 2) * 2) / 4, 1e-6)
      << "batches that are added up are one batch";
  at::Tensor mask = at::ones({4, 5}).ne(0);
  mask[0].narrow(0, 1, 4).fill_(false);
  EXPECT_NEAR(loss_of(output, target, -1, mask).item<double>(),
              (loss_of(output[0][0], target[0][0], -1).item<double>() + loss(1, 3) * 15) / 16, 1e-6);
}

TEST(PerTokenLoss, OneTokenASampleIsTheRelativeError) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({4, 8}), output = at::randn({4, 8});
  EXPECT_NEAR(loss_of(output, target, -1).item<double>(), relative_loss(output, target, -1).item<double>(),
              1e-6);
  EXPECT_EQ(loss_of(output.narrow(0, 0, 0), target.narrow(0, 0, 0), -1).sizes().size(), 0U)
      << "no token at all";
}

TEST(PerTokenLoss, TakesChannelsWhereTheyAre) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({2, 8, 3, 3}), output = at::randn({2, 8, 3, 3});
  EXPECT_NEAR(loss_of(output, target, -3).item<double>(),
              loss_of(output.movedim(1, -1), target.movedim(1, -1), -1).item<double>(), 1e-6);
}

TEST(PerTokenLoss, PaddingDoesNotCount) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({2, 3, 8}), mask = at::tensor({1, 1, 0, 1, 0, 0}).view({2, 3}).ne(0);
  target[0][2] *= 1000;  // its power does not count in the least one either
  const at::Tensor output = (target + at::randn({2, 3, 8})).requires_grad_();
  const auto kept = [&](const at::Tensor& all) { return at::stack({all[0][0], all[0][1], all[1][0]}); };
  EXPECT_NEAR(relative_loss(output, target, -1, mask).item<double>(),
              relative_loss(kept(output), kept(target), -1).item<double>(), 1e-6);
  const auto of_sample = [&](int64_t sample, int64_t tokens) {
    const auto part = [&](const at::Tensor& all) { return all[sample].narrow(0, 0, tokens).unsqueeze(0); };
    return loss_of(part(output), part(target), -1).item<double>();
  };
  const at::Tensor loss = loss_of(output, target, -1, mask);
  EXPECT_NEAR(loss.item<double>(), (2 * of_sample(0, 2) + of_sample(1, 1)) / 3, 1e-6);
  loss.backward();
  EXPECT_EQ(output.grad()[0][2].abs().sum().item<double>(), 0);
  EXPECT_GT(output.grad()[1][0].abs().sum().item<double>(), 0);
  EXPECT_EQ(loss_of(output, target, -1, mask.t()).item<double>(), loss_of(output, target, -1).item<double>())
      << "a mask of other positions says nothing";
}

TEST(PerTokenLoss, IsFiniteOnTargetsOfNothing) {
  at::manual_seed(1);
  at::Tensor target = at::randn({4, 8});
  target[2].zero_();
  EXPECT_TRUE(std::isfinite(loss_of(target + 1, target, -1).item<double>()));
  EXPECT_EQ(loss_of(at::zeros({4, 8}), at::zeros({4, 8}), -1).item<double>(), 0);
}

TEST(ChannelDim, IsTheConvolutionsWhereThereIsOne) {
  const Program residual = load_program(testing::model_file("residual")),
                seed = load_program(testing::model_file("seed"));
  for (const Block& block : find_blocks(residual)) {
    for (const ValueId output : block.activations_out) {
      const bool is_image = residual.values[output].sizes.size() == 4;
      EXPECT_EQ(channel_dim_of(residual, block, output), is_image ? -3 : -1);
    }
  }
  const Block block = find_blocks(seed).front();
  EXPECT_EQ(channel_dim_of(seed, block, block.activations_out.front()), -1)
      << "four dims, but no convolution";
  const Program sequence = load_program(testing::model_file("sequence"));
  const Block between = find_blocks(sequence).front();
  EXPECT_EQ(channel_dim_of(sequence, between, between.activations_out.front()), -1)
      << "three dims and a Conv1d, but a Linear after it";
}

}  // namespace
}  // namespace adascale
