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

TEST(PerTokenLoss, DividesByTheTokensAndTheTypicalPower) {
  const at::Tensor target = at::tensor({3.0f, 4.0f, 0.3f, 0.4f}).view({1, 2, 2});
  const at::Tensor output = target + at::tensor({1.0f, 0.0f, 0.0f, 0.1f}).view({1, 2, 2});
  // The powers are 12.5 and 0.125, the typical one is 1.25, the squared errors are 0.5 and 0.005.
  const double typical = std::pow(1.25, 0.7);
  const double expected = (0.5 / std::pow(12.5, 0.3) + 0.005 / std::pow(0.125, 0.3)) / typical / 2;
  EXPECT_NEAR(per_token_loss(output, target, -1).item<double>(), expected, 1e-7);
}

TEST(PerTokenLoss, IsRelative) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({2, 5, 8}).sign(), output = target + at::randn({2, 5, 8}) * 0.1;
  const double loss = per_token_loss(output, target, -1).item<double>();
  EXPECT_NEAR(per_token_loss(output * 30, target * 30, -1).item<double>(), loss, 1e-6);
  EXPECT_NEAR(loss, 0.01, 0.003) << "tokens of one power: their relative squared error";
}

TEST(PerTokenLoss, AMassiveTokenCountsByItsSize) {
  const at::Tensor ones = at::ones({1, 16, 8});
  const auto share = [&](double size) {  // of the massive token's error, where all are 10 % off
    at::Tensor target = ones.clone();
    target[0][0] *= size;
    at::Tensor rest = target * 1.1;
    rest[0][0] = target[0][0];
    return 1 - per_token_loss(rest, target, -1).item<double>() /
                   per_token_loss(target * 1.1, target, -1).item<double>();
  };
  EXPECT_NEAR(share(1), 1.0 / 16, 1e-5);
  const double counts = std::pow(30.0, 1.4);
  EXPECT_NEAR(share(30), counts / (counts + 15), 1e-5) << "of the squared error it would be 900 / 915";
}

TEST(PerTokenLoss, TakesChannelsWhereTheyAre) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({2, 8, 3, 3}), output = at::randn({2, 8, 3, 3});
  EXPECT_NEAR(per_token_loss(output, target, -3).item<double>(),
              per_token_loss(output.movedim(1, -1), target.movedim(1, -1), -1).item<double>(), 1e-6);
}

TEST(PerTokenLoss, PaddingDoesNotCount) {
  at::manual_seed(1);
  const at::Tensor target = at::randn({2, 3, 8}), mask = at::tensor({1, 1, 0, 1, 0, 0}).view({2, 3}).ne(0);
  target[0][2] *= 1000;  // its power does not count in the least one either
  const at::Tensor output = (target + at::randn({2, 3, 8})).requires_grad_();
  const auto kept = [&](const at::Tensor& all) { return at::stack({all[0][0], all[0][1], all[1][0]}); };
  const at::Tensor loss = per_token_loss(output, target, -1, mask);
  EXPECT_NEAR(loss.item<double>(), per_token_loss(kept(output), kept(target), -1).item<double>(), 1e-6);
  loss.backward();
  EXPECT_EQ(output.grad()[0][2].abs().sum().item<double>(), 0);
  EXPECT_GT(output.grad()[1][0].abs().sum().item<double>(), 0);
  EXPECT_EQ(per_token_loss(output, target, -1, mask.t()).item<double>(),
            per_token_loss(output, target, -1).item<double>())
      << "a mask of other positions says nothing";
}

TEST(PerTokenLoss, IsFiniteOnTargetsOfNothing) {
  at::manual_seed(1);
  at::Tensor target = at::randn({4, 8});
  target[2].zero_();
  EXPECT_TRUE(std::isfinite(per_token_loss(target + 1, target, -1).item<double>()));
  EXPECT_EQ(per_token_loss(at::zeros({4, 8}), at::zeros({4, 8}), -1).item<double>(), 0);
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
