#include "adascale/tune/input_power.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "adascale/tune/program_walk.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

using testing::example_input;

/// The walk stands at the first block of that model.
struct AtFirstBlock {
  explicit AtFirstBlock(const std::string& name, const std::vector<Inputs>& batches)
      : sim(load_program(testing::model_file(name)), testing::w4a16()),
        blocks(find_blocks(sim.program())),
        walk(sim, blocks, batches, ActivationStore(int64_t{1} << 30), /*state_bytes=*/0) {
    walk.reach(0);
  }
  std::vector<at::Tensor> power(const std::vector<int32_t>& weights, int64_t batches, int64_t sums = 1) {
    return seen_of(weights, batches, sums, /*has_means=*/false).mean_squares();
  }
  at::Tensor mean(int32_t weight, int64_t batches) {
    return seen_of({weight}, batches, /*sums=*/1, /*has_means=*/true).mean(0);
  }
  InputPower seen_of(const std::vector<int32_t>& weights, int64_t batches, int64_t sums, bool has_means) {
    InputPower seen(sim, weights, sums, has_means);
    walk.run_fp(0, [&](int64_t batch, NodeId node, const Environment& environment) {
      if (batch < batches) seen.watch(batch, node, environment, {});
    });
    seen.add_over(*present_team());
    return seen;
  }
  int32_t index_of(const std::string& layer) const {
    for (size_t i = 0; i < sim.weights().size(); ++i)
      if (sim.weights()[i].layer.name == layer) return static_cast<int32_t>(i);
    ADD_FAILURE() << layer;
    return 0;
  }
  QuantizationSimModel sim;
  std::vector<Block> blocks;
  ProgramWalk walk;
};

TEST(InputPower, OfLinearsIsTheMeanSquareOfEachInputChannel) {
  const at::Tensor x = example_input("seed"), y = x * 2;
  AtFirstBlock at("seed", {{x}, {y}, {x * 100}});
  const auto power = at.power({0, 1}, 2);
  const at::Tensor both = at::stack({x, y});
  EXPECT_TRUE(power[0].allclose(both.square().mean({0, 1, 2, 3}).view({1, 64})))
      << "the third batch is held out";
  const at::Tensor hidden =
      at::linear(both, at.sim.state("linear_blocks.0.fc1.weight"), at.sim.state("linear_blocks.0.fc1.bias"))
          .relu();
  EXPECT_TRUE(power[1].allclose(hidden.square().mean({0, 1, 2, 3}).view({1, 32})));
}

TEST(InputPower, KnowsTheMeanOfEachInputChannelWhereAsked) {
  const at::Tensor x = example_input("seed");
  AtFirstBlock at("seed", {{x}, {x * 2}});
  EXPECT_TRUE(at.mean(0, 2).allclose(x.mean({0, 1, 2}).view({1, 64}) * 1.5));
  EXPECT_FALSE(at.mean(0, 0).defined()) << "not seen";
  EXPECT_TRUE(at.seen_of({0, 1}, 2, 1, true).mean_squares()[1].equal(at.power({0, 1}, 2)[1]));
}

TEST(InputPower, KnowsTheMeanOfConvolutionsAndExperts) {
  const at::Tensor image = example_input("residual");
  AtFirstBlock convolution("residual", {{image}});
  EXPECT_TRUE(convolution.mean(0, 1).allclose(image.mean({0, 2, 3}).view({1, 3, 1, 1}), 1e-4, 1e-6));
  const at::Tensor x = at::randn({12, 16}).to(at::kBFloat16);
  AtFirstBlock experts("experts", {{x}});
  const at::Tensor rows = x.to(at::kFloat), taken = rows.slice(0, 0, 10).mean(0);
  const auto mean_of = [&](int64_t first, int64_t last) {  // its rows, and 32 like all
    return (rows.slice(0, first, last).sum(0) + 32 * taken) / static_cast<double>(last - first + 32);
  };
  const at::Tensor expected = at::stack({mean_of(0, 3), mean_of(3, 3), mean_of(3, 10)}).unsqueeze(-1);
  EXPECT_TRUE(experts.mean(experts.index_of("sorted"), 1).allclose(expected, 1e-4, 1e-5));
}

TEST(InputPower, InSeveralSumsIsTheSameButForItsOrder) {
  const at::Tensor x = example_input("seed");
  AtFirstBlock at("seed", {{x}, {x * 2}, {x * 3}});
  const auto one = at.power({0, 1}, 3), two = at.power({0, 1}, 3, 2), many = at.power({0, 1}, 3, 5);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(two[i].allclose(one[i]));
    EXPECT_TRUE(many[i].equal(one[i])) << "each batch is a sum, added in turn";
  }
}

TEST(InputPower, OfConvolutionsLooksBeforeAnInPlaceOperatorWrites) {
  const at::Tensor x = example_input("residual");
  AtFirstBlock at("residual", {{x}});
  const auto power = at.power({0, 1}, 1);
  EXPECT_TRUE(power[0].allclose(x.square().mean({0, 2, 3}).view({1, 3, 1, 1})));
  EXPECT_EQ(power[1].sizes(), (std::vector<int64_t>{1, 8, 1, 1}));
}

TEST(InputPower, OfAnExpertIsThatOfItsTokensAndOfSomeOfAll) {
  const at::Tensor x = at::randn({12, 16}).to(at::kBFloat16);
  AtFirstBlock at("experts", {{x}, {x}});
  const at::Tensor squares = x.to(at::kFloat).square(), taken = squares.slice(0, 0, 10).mean(0);
  const auto power_of = [&](int64_t first, int64_t last) {  // rows, seen twice
    const auto own = 2.0 * static_cast<double>(last - first);
    return (2 * squares.slice(0, first, last).sum(0) + 32 * taken) / (own + 32);
  };
  const at::Tensor expected = at::stack({power_of(0, 3), power_of(3, 3), power_of(3, 10)}).unsqueeze(-1);
  for (const int64_t sums : {1, 2}) {
    const auto power = at.power({at.index_of("sorted"), at.index_of("dense")}, 2, sums);
    ASSERT_EQ(power[0].sizes(), expected.sizes());
    EXPECT_TRUE(power[0].allclose(expected, 1e-4));
    ASSERT_EQ(power[1].sizes(), (std::vector<int64_t>{2, 16, 1}));
    // 24 rows each, the second expert's three times as large; the mean of all is five times the first one's.
    EXPECT_TRUE((power[1][0] * (24 * 9 + 32 * 5)).allclose(power[1][1] * (24 + 32 * 5), 2e-2));
  }
}

TEST(InputPower, OfHeadsIsNotThatOfSamplesWhereThereAreAsMany) {
  const at::Tensor x = at::randn({4, 5, 16});
  AtFirstBlock at("heads", {{x}});
  const at::Tensor power = at.power({0}, 1)[0];
  EXPECT_TRUE(power.expand({4, 1, 16}).allclose(x.square().mean({0, 1}).expand({4, 1, 16})));
}

TEST(InputPower, OfALayerThatWasNotSeenIsTheSameForAll) {
  AtFirstBlock at("seed", {{example_input("seed")}});
  EXPECT_TRUE(at.power({0}, 0)[0].equal(at::ones({})));
}

}  // namespace
}  // namespace adascale
