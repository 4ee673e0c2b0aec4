// The stage after all blocks: scales learn from the program's own output.
#include "adascale/tune/last_stage.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <new>

#include "adascale/tune/chunks.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/output_loss.h"
#include "adascale/tune/program_walk.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::model_file;
using testing::seed_batches;
using testing::seed_sim;

TEST(OutputLoss, DivergenceIsTorchsAndItsGradientAutograds) {
  at::manual_seed(1);
  // More positions than one slice of temporaries holds.
  const at::Tensor fp = at::randn({2, 3, 4000000});
  const at::Tensor quant = at::randn_like(fp).mul(0.1).add(fp).requires_grad_();
  const at::Tensor expected =
      at::kl_div(at::log_softmax(quant, -1), at::log_softmax(fp, -1), at::Reduction::Sum, /*log_target=*/true)
          .div(6);
  expected.backward();
  const OutputLoss found = divergence(fp, quant.detach());
  EXPECT_NEAR(found.loss, expected.item<double>(), 1e-4 * expected.item<double>());
  EXPECT_TRUE(at::allclose(found.gradient, quant.grad().mul(6), 1e-3, 1e-9));
}

TEST(OutputLoss, PaddingDoesNotCount) {
  at::manual_seed(2);
  const at::Tensor fp = at::randn({2, 3, 7}), quant = at::randn({2, 3, 7});
  const at::Tensor keep = at::tensor({1, 1, 0, 1, 0, 0}).reshape({2, 3}).ne(0);
  const OutputLoss found = divergence(fp, quant, keep);
  const auto kept = [&](const at::Tensor& all) { return all.reshape({6, 7}).index({keep.reshape({6})}); };
  const OutputLoss alone = divergence(kept(fp), kept(quant));
  EXPECT_NEAR(found.loss, alone.loss, 1e-6);
  EXPECT_TRUE(at::allclose(kept(found.gradient), alone.gradient));
  EXPECT_EQ(found.gradient.reshape({6, 7}).index({keep.reshape({6}).logical_not()}).abs().max().item<float>(),
            0);
}

/// Gradients of all weights for an output's gradient, by a program cut at those nodes.
std::vector<at::Tensor> gradients(const QuantizationSimModel& sim, const std::vector<NodeId>& ends) {
  const ComparedOutput output = compared_output(sim.program());
  std::set<ValueId> learned;
  std::map<ValueId, at::Tensor> leaves;
  for (const QuantizedWeight& weight : sim.weights())
    for (const ValueId value : weight.layer.weights) {
      learned.insert(value);
      leaves[value] = sim.load_state(value, SimMode::kWeightsOnly).detach().clone().requires_grad_();
    }
  const Chunks chunks(sim.program(), ends, learned, output.value);
  EXPECT_EQ(chunks.obstacle(), "");
  RunHooks hooks;
  hooks.load_state = [&](ValueId value) {
    return leaves.contains(value) ? leaves.at(value) : sim.load_state(value, SimMode::kFloat);
  };
  Environment environment(sim.program());
  feed_inputs(sim.program(), seed_batches(1).front(), environment);
  chunks.differentiate(environment, hooks, [&](const Environment& now) {
    at::manual_seed(4);
    return at::randn_like(now.tensor(output.value));
  });
  std::vector<at::Tensor> found;
  for (const auto& [value, leaf] : leaves) found.push_back(leaf.grad());
  return found;
}

TEST(Chunks, CutsDoNotChangeGradients) {
  const QuantizationSimModel sim = seed_sim();
  std::vector<NodeId> ends;
  for (const Block& block : blocks_to_train(sim.program(), {})) ends.push_back(block.nodes.back());
  ASSERT_EQ(ends.size(), 5u);
  const auto whole = gradients(sim, {}), cut = gradients(sim, ends);
  ASSERT_EQ(whole.size(), cut.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    ASSERT_TRUE(whole[i].defined() && cut[i].defined());
    EXPECT_GT(whole[i].abs().max().item<float>(), 0);
    EXPECT_TRUE(at::allclose(whole[i], cut[i], 1e-5, 1e-7)) << i;
  }
}

AdaScaleOptions best() {
  return {.num_iterations = 40, .recipe = "best", .precision = "float32"};
}

TEST(LastStage, ScalesLearnAndCodesStay) {
  QuantizationSimModel sim = seed_sim(), blocks_alone = seed_sim();
  const AdaScaleReport report = apply_adascale(sim, seed_batches(16), best());
  AdaScaleOptions fast = best();
  fast.recipe = "fast", fast.held_out_batches = 2;  // an eighth
  EXPECT_FALSE(apply_adascale(blocks_alone, seed_batches(16), fast).last_stage);
  ASSERT_TRUE(report.last_stage);
  EXPECT_EQ(report.last_stage->iterations, 40);
  EXPECT_TRUE(report.last_stage->kept);
  EXPECT_LT(report.last_stage->held_out_after, 0.99 * report.last_stage->held_out_before);
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const Encoding now = sim.weight_encoding(i), before = blocks_alone.weight_encoding(i);
    EXPECT_TRUE(now.codes.equal(before.codes)) << now.name;
    EXPECT_FALSE(now.scale.equal(before.scale)) << now.name;
    EXPECT_TRUE(dequantize(now).equal(sim.state(now.name))) << now.name;
    const at::Tensor w = blocks_alone.program().state.at(now.name);
    EXPECT_NEAR(now.sqnr_db, sqnr_db(w, dequantize(now)), 1e-6);
    for (const BlockReport& block : report.blocks)
      for (const LayerReport& layer : block.layers)
        if (layer.name == sim.weights()[i].layer.name) {
          EXPECT_EQ(layer.sqnr_db, now.sqnr_db);
        }
  }
}

TEST(LastStage, TakesTheFloatStreamOfTheBlocks) {
  const std::vector<Inputs> batches = seed_batches(16);
  const auto before = [&](double factor) {
    QuantizationSimModel sim = seed_sim();
    AdaScaleOptions options = best();
    options.num_iterations = 1;
    const TrainingPlan plan = plan_training(sim, blocks_to_train(sim.program(), options), batches, options);
    ProgramWalk walk(sim, plan.parts.front().blocks, batches, ActivationStore(1 << 20), /*state_bytes=*/0);
    walk.keep_last_outputs();
    for (size_t block = 0; block < plan.parts.front().blocks.size(); ++block) {
      walk.reach(block);
      walk.run_fp(block);
      walk.run_quant(block);
      walk.leave(block);
    }
    sim.compute_encodings([&](QuantizationSimModel& model) { model.call(batches.front()); });
    std::vector<Environment> stream = walk.float_stream();
    for (Environment& one : stream)
      for (const ValueId value : plan.parts.front().blocks.back().activations_out)
        one.set(value, one.tensor(value).mul(factor));
    Checkpoint none;
    return run_last_stage(sim, plan, batches, stream, none).held_out_before;
  };
  EXPECT_GT(before(100), 2 * before(1)) << "it is not compared with what the blocks left";
}

TEST(LastStage, ScalesAreThoseThatFilesHold) {
  SimOptions options = seed_sim().options();
  options.fit_grid = [](const Layer&, const at::Tensor&, Grid grid) {
    grid.scale_dtype = at::kHalf;
    return FittedGrid{grid, ""};
  };
  QuantizationSimModel sim(load_program(model_file("seed")), options);
  ASSERT_TRUE(apply_adascale(sim, seed_batches(16), best()).last_stage->kept);
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const at::Tensor scale = sim.weight_encoding(i).scale;
    EXPECT_TRUE(scale.equal(scale.to(at::kHalf).to(at::kFloat)));
  }
}

TEST(LastStage, ScalesThatHeldOutSamplesRefuseAreNotKept) {
  QuantizationSimModel sim = seed_sim(), blocks_alone = seed_sim();
  AdaScaleOptions options = best();
  options.num_iterations = 4, options.lr_scale = 1000;
  const AdaScaleReport report = apply_adascale(sim, seed_batches(16), options);
  options.recipe = "fast", options.held_out_batches = 2;
  apply_adascale(blocks_alone, seed_batches(16), options);
  EXPECT_FALSE(report.last_stage->kept);
  EXPECT_FALSE(report.last_stage->held_out_after < report.last_stage->held_out_before);
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i)
    EXPECT_TRUE(sim.weight_encoding(i).scale.equal(blocks_alone.weight_encoding(i).scale));
}

TEST(LastStage, LowPrecisionSomeBlocksAndSeveralBatchesAStep) {
  AdaScaleOptions options = best();
  options.precision = "bfloat16", options.accumulate = 4, options.blocks = {"linear_blocks.[13]"};
  QuantizationSimModel sim = seed_sim();
  const AdaScaleReport report = apply_adascale(sim, seed_batches(16), options);
  EXPECT_EQ(report.blocks.size(), 2u);
  EXPECT_TRUE(report.last_stage->kept);
  const QuantizationSimModel untrained = seed_sim();
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const bool trained = sim.weights()[i].trained;
    EXPECT_EQ(trained, sim.weights()[i].encoding.has_value());
    if (!trained) {
      EXPECT_TRUE(sim.weight_encoding(i).scale.equal(untrained.weight_encoding(i).scale));
    }
  }
}

TEST(LastStage, AStepsBatchesAreCheckedBehindThoseHeldOut) {
  AdaScaleOptions options = best();
  options.accumulate = 16;
  EXPECT_NE(error_of([&] {
              QuantizationSimModel sim = seed_sim();
              apply_adascale(sim, seed_batches(16), options);
            }).find("accumulate: got 16, but 14 batches are trained on"),
            std::string::npos);
}

TEST(LastStage, WhereItDoesNotRunTheReportSaysWhy) {
  const auto note = [](const SimOptions& sim_options, int batches) {
    QuantizationSimModel sim(load_program(model_file("seed")), sim_options);
    AdaScaleOptions options = best();
    options.num_iterations = 2;
    const AdaScaleReport report = apply_adascale(sim, seed_batches(batches), options);
    EXPECT_EQ(report.last_stage->iterations, 0);
    EXPECT_FALSE(report.blocks.front().held_out_before);
    return report.last_stage->note;
  };
  SimOptions options = seed_sim().options();
  EXPECT_EQ(note(options, 5),
            "an eighth of the samples cannot be held out: it takes 16 samples or more, in batches of at most "
            "a quarter "
            "of them");
  for (const std::string grid : {"mxfp4", "nvfp4"}) {
    options.grid = grid, options.default_param_bw = 4;
    EXPECT_EQ(note(options, 6), "it does not train scales of " + grid);
  }
  options = seed_sim().options();
  options.in_place = true;
  EXPECT_EQ(error_of([&] { note(options, 6); }),
            "recipe = \"best\": its last stage needs the full-precision weights, which in_place overwrites; "
            "leave one "
            "out");
}

TEST(LastStage, AnEighthOfTheSamplesIsHeldOut) {
  const auto held_out = [](std::vector<int64_t> sizes) {
    std::vector<Inputs> batches;
    for (const int64_t size : sizes) batches.push_back({at::zeros({size, 2})});
    return held_out_for_last_stage(batches);
  };
  EXPECT_EQ(held_out(std::vector<int64_t>(64, 1)), 8);
  EXPECT_EQ(held_out(std::vector<int64_t>(16, 8)), 2);
  EXPECT_EQ(held_out({2, 2, 2, 2, 2, 2, 2, 2, 1}), 2);  // one of 17 tells little
  EXPECT_EQ(held_out({8, 8}), 0);                       // half of them
  EXPECT_EQ(held_out(std::vector<int64_t>(15, 1)), 0);
}

TEST(LastStage, AFailureCostsTheStageAlone) {
  QuantizationSimModel sim = seed_sim();
  AdaScaleOptions options = best();
  options.progress = [](const ProgressEvent& event) {
    if (event.stage == "last stage" && event.step == 3) throw std::bad_alloc();
  };
  const AdaScaleReport report = apply_adascale(sim, seed_batches(16), options);
  EXPECT_EQ(report.last_stage->note, "the host is out of memory");
  EXPECT_EQ(report.blocks.size(), 5u);
}

}  // namespace
}  // namespace adascale
