// AIMET's own run of two blocks, repeated with the real graph, walk and trainer.
#include <gtest/gtest.h>

#include "adascale/core/error.h"
#include "adascale/core/passes.h"
#include "adascale/io/pt2.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/block_trainer.h"
#include "adascale/tune/program_walk.h"
#include "golden/golden.h"

namespace adascale {
namespace {

std::string export_models() {
  static const std::string folder = [] {
    const auto made =
        std::filesystem::path(ADASCALE_TEST_SCRATCH) / fmt::format("golden_models.{}", getpid());
    std::filesystem::create_directories(made);
    const auto command = fmt::format("\"{0}\" \"{1}/tune/make_golden_models.py\" \"{1}/golden\" \"{2}\"",
                                     ADASCALE_TEST_PYTHON, ADASCALE_TEST_DATA, made.string());
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
    return made.string();
  }();
  return folder;
}

class GoldenTrainer : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTrainer, ReproducesAimet) {
  const golden::Tensors golden = golden::load(GetParam());
  SimOptions options{.default_param_bw = 4, .default_output_bw = kOffBits};
  QuantizationSimModel sim(load_program(export_models() + "/" + GetParam() + ".pt2"), options);
  const std::vector<Block> blocks = find_blocks(sim.program());
  ASSERT_EQ(blocks.size(), 2u);

  const at::Tensor x = golden.at("x");
  std::vector<Inputs> batches;
  for (int64_t i = 0; i < x.size(0); ++i) batches.push_back({x[i]});
  Recipe recipe = recipe_named("aimet");
  recipe.fp_input_share = 0;  // the golden run was made with mixing off

  ProgramWalk walk(sim, blocks, batches, ActivationStore(0), /*state_bytes=*/0);
  for (size_t i = 0; i < blocks.size(); ++i) {
    SCOPED_TRACE(fmt::format("block {}", i));
    walk.reach(i);
    walk.run_fp(i);
    const int32_t first = static_cast<int32_t>(2 * i);
    BlockTrainer trainer({.sim = sim,
                          .block = blocks[i],
                          .index = i,
                          .source = walk,
                          .team = *present_team(),
                          .weights = {first, first + 1},
                          .start = {sim.weights()[first].range, sim.weights()[first + 1].range},
                          .recipe = recipe,
                          .iterations = golden.at("iters").item<int64_t>(),
                          .training_batches = x.size(0)});
    const at::Tensor losses = golden.at(fmt::format("losses{}", i));
    {
      const WatchPasses watch([&](const PassEvent& pass) {
        if (!pass.loss) return;
        const double expected = losses[pass.step - 1].item<double>();
        EXPECT_NEAR(*pass.loss, expected, 1e-4 * expected) << "iteration " << pass.step;
      });
      trainer.train("training");
    }
    const std::vector<std::string> layers = {"a", "b"};
    const std::vector<Encoding> encodings = trainer.encode();
    for (size_t k = 0; k < layers.size(); ++k) {
      const std::string key = fmt::format("blk{}.{}", i, layers[k]);
      const AdaScaleQuantizer& quantizer = trainer.quantizers()[k];
      std::vector<std::string> names = {"beta", "gamma", "s2", "s3"};
      if (golden.contains(key + ".s4")) names.push_back("s4");
      const std::vector<at::Tensor> learnables = quantizer.learnables();
      ASSERT_EQ(learnables.size(), names.size());
      for (size_t j = 0; j < names.size(); ++j)
        EXPECT_LE(golden::distance(learnables[j].detach(), golden.at(key + "." + names[j])), 1e-4)
            << names[j];
      EXPECT_LE(golden::distance(quantizer.divided_weight(), golden.at(key + ".Wfold")), 1e-5);
      SimEditor(sim).fold(first + static_cast<int32_t>(k), encodings[k], true);
    }
    walk.run_quant(i);
    walk.leave(i);
  }

  const at::Tensor all = x.flatten(0, 1);
  EXPECT_LE(golden::distance(sim.run({all}, SimMode::kFloat)[0].toTensor(), golden.at("out_fp")), 1e-5);
  EXPECT_LE(golden::distance(sim.run({all}, SimMode::kWeightsOnly)[0].toTensor(), golden.at("out_ada")),
            1e-5);
}

TEST_P(GoldenTrainer, StartsAtAimetsRoundToNearest) {
  const golden::Tensors golden = golden::load(GetParam());
  SimOptions options{.default_param_bw = 4, .default_output_bw = kOffBits};
  const QuantizationSimModel sim(load_program(export_models() + "/" + GetParam() + ".pt2"), options);
  const at::Tensor all = golden.at("x").flatten(0, 1);
  EXPECT_LE(golden::distance(sim.run({all}, SimMode::kWeightsOnly)[0].toTensor(), golden.at("out_rtn")),
            1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTrainer, ::testing::Values("golden_linear", "golden_conv"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace adascale
