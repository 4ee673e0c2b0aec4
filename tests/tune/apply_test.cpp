#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <new>

#include "adascale/tune/adascale.h"
#include "adascale/tune/recipe.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::example_input;
using testing::model_file;
using testing::seed_batches;
using testing::seed_sim;
using testing::w4a16;

TEST(ApplyAdaScale, LowersEveryBlocksLossAndTouchesNoActivation) {
  QuantizationSimModel sim = seed_sim();
  const AdaScaleReport report =
      apply_adascale(sim, seed_batches(4), AdaScaleOptions{.num_iterations = 60, .recipe = "aimet"});
  ASSERT_EQ(report.blocks.size(), 5u);
  for (const BlockReport& block : report.blocks) {
    EXPECT_TRUE(block.kept) << block.name;
    EXPECT_LT(block.loss_after, block.loss_before) << block.name;
    EXPECT_EQ(block.layers.size(), 2u);
    for (const LayerReport& layer : block.layers) EXPECT_GT(layer.codes_moved, 0) << layer.name;
  }
  for (const QuantizedWeight& weight : sim.weights()) EXPECT_TRUE(weight.trained);
  for (const ActivationQuantizer& quantizer : sim.activations()) EXPECT_FALSE(quantizer.encoding);
}

TEST(ApplyAdaScale, SameSeedSameBytes) {
  const auto trained = [](int64_t seed) {
    QuantizationSimModel sim = seed_sim();
    apply_adascale(sim, seed_batches(3), AdaScaleOptions{.num_epochs = 10, .recipe = "aimet", .seed = seed});
    std::vector<at::Tensor> codes;
    for (size_t i = 0; i < sim.weights().size(); ++i)
      codes.push_back(sim.state(sim.weights()[i].layer.parameters.front()).flatten());
    return codes;
  };
  const auto first = trained(5), again = trained(5), other = trained(6);
  bool differs = false;
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_TRUE(first[i].equal(again[i])) << i;
    differs = differs || !first[i].equal(other[i]);
  }
  EXPECT_TRUE(differs) << "the seed reaches the mixing";
}

TEST(ApplyAdaScale, KeepsRoundToNearestWhenTrainingIsWorse) {
  QuantizationSimModel sim = seed_sim(8);
  const AdaScaleReport report = apply_adascale(
      sim, seed_batches(2), AdaScaleOptions{.num_iterations = 3, .recipe = "aimet", .lr_scale = 1e4});
  for (const BlockReport& block : report.blocks) {
    EXPECT_FALSE(block.kept);
    EXPECT_FALSE(block.diverged);
    EXPECT_FALSE(block.note.empty());
    for (const LayerReport& layer : block.layers) EXPECT_EQ(layer.codes_moved, 0);
  }
  const QuantizationSimModel rtn = seed_sim(8);
  for (size_t i = 0; i < sim.weights().size(); ++i)
    EXPECT_TRUE(sim.state(sim.weights()[i].layer.parameters.front())
                    .equal(rtn.dequantized_weight(static_cast<int32_t>(i))));
}

TEST(ApplyAdaScale, TheNextBlockReadsTheWeightsThatStay) {
  QuantizationSimModel diverging = seed_sim(), searched = seed_sim();
  const AdaScaleReport got =
      apply_adascale(diverging, seed_batches(1),
                     AdaScaleOptions{.num_iterations = 2, .precision = "float32", .lr_scale = 1e8});
  const AdaScaleReport expected =
      apply_adascale(searched, seed_batches(1), AdaScaleOptions{.recipe = "clip", .precision = "float32"});
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got.blocks[i].note, "training diverged; the clip search stays");
    EXPECT_DOUBLE_EQ(got.blocks[i].loss_before, expected.blocks[i].loss_before) << i;
  }
}

TEST(ApplyAdaScale, KeepsWhatWasTrainedWhenAskedThoughItIsWorse) {
  QuantizationSimModel sim = seed_sim(8);
  const auto report = apply_adascale(
      sim, seed_batches(2),
      AdaScaleOptions{.num_iterations = 3, .recipe = "aimet", .keep_better = false, .lr_scale = 1e4});
  const BlockReport& first = report.blocks.front();  // its result is the input of later ones
  EXPECT_GT(first.loss_after, first.loss_before);
  EXPECT_EQ(first.note, "training did not help and is kept all the same; round-to-nearest was better");
  for (const BlockReport& block : report.blocks) {
    EXPECT_TRUE(block.kept) << block.name;
    for (const LayerReport& layer : block.layers) EXPECT_GT(layer.codes_moved, 0) << layer.name;
  }
  for (const QuantizedWeight& weight : sim.weights()) EXPECT_TRUE(weight.trained);
}

TEST(ApplyAdaScale, EpochsCountTheBatchesTrainedOn) {
  QuantizationSimModel sim = seed_sim();
  const auto report =
      apply_adascale(sim, seed_batches(5), AdaScaleOptions{.num_epochs = 2, .held_out_batches = 1});
  EXPECT_EQ(report.blocks[0].iterations, 8);
  EXPECT_TRUE(report.blocks[0].held_out_before);
  EXPECT_TRUE(report.blocks[0].held_out_after);
  QuantizationSimModel one_epoch = seed_sim();
  EXPECT_EQ(apply_adascale(one_epoch, seed_batches(5)).blocks[0].iterations, 5);
}

TEST(ApplyAdaScale, GroupsAsymmetricGridsAndLpbqTrainToo) {
  for (const auto& [symmetric, decompressed_bw] : {std::pair{true, 0}, {false, 0}, {true, 6}}) {
    SimOptions options = w4a16();
    options.default_param_bw = 2;
    options.group_size = 16;
    options.decompressed_bw = decompressed_bw;
    options.symmetric = symmetric;
    QuantizationSimModel sim(load_program(model_file("seed")), options);
    const auto report = apply_adascale(sim, seed_batches(4), AdaScaleOptions{.num_iterations = 60});
    for (const BlockReport& block : report.blocks)
      EXPECT_LT(block.loss_after, block.loss_before) << block.name;
  }
}

TEST(ApplyAdaScale, InPlaceFoldsIntoTheProgramAndGivesTheSameResult) {
  SimOptions options = w4a16();
  QuantizationSimModel apart(load_program(model_file("seed")), options);
  options.in_place = true;
  QuantizationSimModel in_place(load_program(model_file("seed")), options);
  for (QuantizationSimModel* sim : {&apart, &in_place})
    apply_adascale(*sim, seed_batches(3), AdaScaleOptions{.num_epochs = 4});
  for (const QuantizedWeight& weight : apart.weights()) {
    const std::string& name = weight.layer.parameters.front();
    EXPECT_TRUE(in_place.program().state.at(name).equal(apart.state(name))) << name;
  }
}

TEST(ApplyAdaScale, InPlaceLeavesTheTargetsOfBlocksThatShareAWeight) {
  std::vector<AdaScaleReport> reports;
  for (const bool in_place : {false, true}) {
    QuantizationSimModel sim(load_program(model_file("sharing")),
                             {.default_param_bw = 3, .default_output_bw = kOffBits, .in_place = in_place});
    reports.push_back(
        apply_adascale(sim, {{example_input("sharing")}}, AdaScaleOptions{.blocks = {"a", "b"}}));
  }
  ASSERT_EQ(reports[0].blocks.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(reports[0].blocks[i].loss_before, reports[1].blocks[i].loss_before) << i;
    EXPECT_EQ(reports[0].blocks[i].loss_after, reports[1].blocks[i].loss_after) << i;
  }
}

TEST(ApplyAdaScale, ALayerOfOneVectorTrainsToo) {
  QuantizationSimModel sim(load_program(model_file("sequence")),
                           {.default_param_bw = 3, .default_output_bw = 32});
  const auto report =
      apply_adascale(sim, {{example_input("sequence")}}, AdaScaleOptions{.num_iterations = 30});
  ASSERT_EQ(report.blocks.size(), 1u);
  EXPECT_LT(report.blocks[0].loss_after, report.blocks[0].loss_before);
}

TEST(ApplyAdaScale, ForwardFunctionPreparesTheInput) {
  QuantizationSimModel sim = seed_sim();
  const std::vector<at::Tensor> labelled = {at::randn({3, 3, 32, 64}), at::randn({3, 3, 32, 64})};
  int calls = 0;
  const auto forward = [&](QuantizationSimModel& model, const at::Tensor& x) {
    ++calls;
    model(x.mul(2));
  };
  EXPECT_EQ(apply_adascale(sim, labelled, forward).blocks.size(), 5u);
  EXPECT_EQ(calls, 2);
}

TEST(ApplyAdaScale, EveryBatchMustCallTheModelOnce) {
  QuantizationSimModel sim = seed_sim();
  const std::vector<at::Tensor> batches = {at::randn({3, 3, 32, 64})};
  EXPECT_EQ(error_of([&] { apply_adascale(sim, batches, [](QuantizationSimModel&, const at::Tensor&) {}); }),
            "batch 0: forward_fn called the model 0 times, expected once");
  EXPECT_NO_THROW(apply_adascale(sim, batches, default_forward_fn));  // and the sim is not left recording
}

TEST(ApplyAdaScale, HeldOutBatchesCountInTheDecision) {
  SimOptions options = w4a16();
  options.default_param_bw = 8;
  QuantizationSimModel sim(load_program(model_file("seed")), options);
  const auto report = apply_adascale(
      sim, seed_batches(9), AdaScaleOptions{.num_iterations = 40, .held_out_batches = 8, .lr_scale = 20});
  for (const BlockReport& block : report.blocks) {
    const double before = (block.loss_before + 8 * *block.held_out_before) / 9;
    const double after = (block.loss_after + 8 * *block.held_out_after) / 9;
    EXPECT_EQ(block.kept, after <= before) << block.name;
  }
}

TEST(ApplyAdaScale, DivergenceIsCalledByItsName) {
  for (const auto& [recipe, stays] : {std::pair{"aimet", "round-to-nearest"}, {"fast", "the clip search"}}) {
    for (const bool keep_better : {true, false}) {
      QuantizationSimModel sim = seed_sim();
      const AdaScaleOptions options{
          .num_iterations = 4, .recipe = recipe, .keep_better = keep_better, .lr_scale = 1e8};
      const BlockReport block = apply_adascale(sim, seed_batches(1), options).blocks[0];
      EXPECT_FALSE(block.kept);
      EXPECT_TRUE(block.diverged);
      EXPECT_EQ(block.note, fmt::format("training diverged; {} stays", stays));
    }
  }
}

TEST(ApplyAdaScale, RefusesWhatCannotWorkAllAtOnce) {
  QuantizationSimModel sim = seed_sim();
  AdaScaleOptions options{.num_epochs = 1, .num_iterations = 5};
  options.held_out_batches = 7;
  options.recipe = "slow";
  options.activation_memory = -1;
  const auto text = error_of([&] { apply_adascale(sim, seed_batches(2), options); });
  EXPECT_NE(text.find("num_epochs and num_iterations: both are given"), std::string::npos) << text;
  EXPECT_NE(text.find("held_out_batches: got 7 of 2"), std::string::npos) << text;
  EXPECT_NE(text.find("recipe: got 'slow'"), std::string::npos) << text;
  EXPECT_NE(text.find("activation_memory: got -1"), std::string::npos) << text;
}

TEST(ApplyAdaScale, RefusesNoBatches) {
  QuantizationSimModel sim = seed_sim();
  EXPECT_EQ(error_of([&] { apply_adascale(sim, std::vector<Inputs>{}); }),
            "apply_adascale: the data gave no batch; a generator can be read only once");
}

TEST(ApplyAdaScale, RefusesNaNInTheData) {
  QuantizationSimModel sim = seed_sim();
  auto batches = seed_batches(2);
  at::Tensor x = batches[1][0].toTensor();
  x.view({-1})[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(error_of([&] { apply_adascale(sim, batches); }), "batch 1: input 'x' holds NaN or infinity");
}

TEST(ApplyAdaScale, RefusesASecondRunAndARunAfterCalibration) {
  QuantizationSimModel sim = seed_sim();
  apply_adascale(sim, seed_batches(1));
  EXPECT_NE(error_of([&] { apply_adascale(sim, seed_batches(1)); }).find("called twice"), std::string::npos);
  QuantizationSimModel calibrated = testing::calibrated_sim("seed", w4a16());
  EXPECT_NE(error_of([&] { apply_adascale(calibrated, seed_batches(1)); }).find("after compute_encodings"),
            std::string::npos);
}

TEST(ApplyAdaScale, RefusesUnknownRecipesAndBlocks) {
  QuantizationSimModel sim = seed_sim();
  EXPECT_EQ(error_of([&] { apply_adascale(sim, seed_batches(1), AdaScaleOptions{.recipe = "slow"}); }),
            "recipe: got 'slow', expected one of fast, best, aimet, clip, rtn");
  EXPECT_NE(error_of([&] {
              apply_adascale(sim, seed_batches(1), AdaScaleOptions{.blocks = {"decoder.*"}});
            }).find("decoder.*"),
            std::string::npos);
}

TEST(ApplyAdaScale, AFailureNamesTheBlocksAlreadyFolded) {
  QuantizationSimModel sim = seed_sim();
  AdaScaleOptions options{.num_iterations = 2};
  options.progress = [](const ProgressEvent& event) {
    if (event.stage.starts_with("block 3/5")) fail("the user's own trouble");
  };
  EXPECT_EQ(error_of([&] { apply_adascale(sim, seed_batches(2), options); }),
            "the user's own trouble; folded before it: linear_blocks.0, linear_blocks.1");
  EXPECT_TRUE(sim.weights()[3].encoding);
  EXPECT_FALSE(sim.weights()[4].encoding);
}

TEST(ApplyAdaScale, ALackOfMemoryNamesTheBlocksAlreadyFoldedAndTheCure) {
  QuantizationSimModel sim = seed_sim();
  AdaScaleOptions options{.num_iterations = 2};
  options.progress = [](const ProgressEvent& event) {
    if (event.stage.starts_with("block 3/5")) throw std::bad_alloc();
  };
  EXPECT_EQ(error_of([&] { apply_adascale(sim, seed_batches(2), options); }),
            "linear_blocks.2: the host is out of memory; give smaller batches, smaller blocks (blocks) or "
            "less activation_memory; folded before it: linear_blocks.0, linear_blocks.1");
}

TEST(ApplyAdaScale, ACallersExceptionKeepsItsTypeAndTheLogNamesTheBlocksAlreadyFolded) {
  struct OfTheCaller {};
  std::vector<std::string> lines;
  set_log_sink([&](const std::string& line) { lines.push_back(line); });
  for (const std::string block : {"block 1/5", "block 3/5"}) {
    QuantizationSimModel sim = seed_sim();
    AdaScaleOptions options{.num_iterations = 2};
    options.progress = [&](const ProgressEvent& event) {
      if (event.stage.starts_with(block)) throw OfTheCaller();
    };
    EXPECT_THROW(apply_adascale(sim, seed_batches(2), options), OfTheCaller);
    EXPECT_EQ(sim.training().empty(), block == "block 1/5");
  }
  set_log_sink({});
  EXPECT_EQ(lines, std::vector<std::string>{"stopped in linear_blocks.2; folded before it: linear_blocks.0, "
                                            "linear_blocks.1"});
}

TEST(ApplyAdaScale, RefusesAModelWithoutBlocksAndListsWhatItLookedAt) {
  QuantizationSimModel sim(load_program(model_file("masked")), w4a16());
  EXPECT_EQ(error_of([&] { apply_adascale(sim, std::vector<Inputs>{{example_input("masked")}}); }),
            "apply_adascale: found no block to train: no module call has two layers; looked at: "
            "(root)  Masked  1 layer, fc  Linear  1 layer");
}

TEST(ApplyAdaScale, RefusesBitsThatItDoesNotTrain) {
  QuantizationSimModel sim = seed_sim(16);
  EXPECT_NE(error_of([&] { apply_adascale(sim, seed_batches(1)); }).find("AdaScale trains 2 to 8"),
            std::string::npos);
}

TEST(ApplyAdaScale, RefusesAWeightEditedMeanwhile) {
  QuantizationSimModel sim = seed_sim();
  {
    const at::NoGradGuard no_grad;
    at::Tensor weight = sim.program().state.at("linear_blocks.1.fc1.weight");
    weight.add_(1);
  }
  EXPECT_NE(error_of([&] { apply_adascale(sim, seed_batches(1)); }).find("linear_blocks.1.fc1.weight"),
            std::string::npos);
}

TEST(Recipes, RoundToNearestTakesBitsThatTrainingDoesNot) {
  QuantizationSimModel sim = seed_sim(12);
  const auto report = apply_adascale(sim, seed_batches(1), AdaScaleOptions{.recipe = "rtn"});
  EXPECT_EQ(report.blocks.size(), 5u);
  EXPECT_EQ(report.not_trained.size(), 10u);
}

TEST(Recipes, AimetIsAsPublished) {
  const Recipe& recipe = recipe_named("aimet");
  EXPECT_EQ(recipe.start, StartRange::kScheme);
  EXPECT_EQ(recipe.loss, LossKind::kSummed);
  EXPECT_EQ(recipe.update, UpdateRule::kAdam);
  EXPECT_EQ(recipe.scale_rate, 1e-3);
  EXPECT_EQ(recipe.rounding_rate, 5e-4);
  EXPECT_EQ(recipe.fp_input_share, 0.5);
  EXPECT_EQ(recipe.iterations, 1500);
}

TEST(Recipes, EachLowersTheLossOrLeavesRoundToNearest) {
  for (const Recipe& recipe : recipes()) {
    SCOPED_TRACE(recipe.name);
    QuantizationSimModel sim = seed_sim();
    AdaScaleOptions options{.recipe = recipe.name};
    if (recipe.trains()) options.num_iterations = 40;
    const AdaScaleReport report = apply_adascale(sim, seed_batches(4), options);
    const bool is_rtn = recipe.start == StartRange::kScheme && !recipe.trains();
    for (const BlockReport& block : report.blocks) {
      if (!block.kept) {
        EXPECT_EQ(block.note, "training did not help; the clip search stays");
        EXPECT_EQ(recipe.name, "fast");  // 40 steps of 1/40 code each; on random data there is little to gain
        continue;
      }
      EXPECT_EQ(block.iterations, recipe.trains() ? 40 : 0);
      // On random data the recipe's steps are too long for some of its blocks.
      EXPECT_TRUE(block.note.empty() || block.note.ends_with("times as long; longer ones did not help"))
          << block.note;
      if (is_rtn)
        EXPECT_EQ(block.loss_after, block.loss_before);
      else
        EXPECT_LT(block.loss_after, block.loss_before);
      for (const LayerReport& layer : block.layers) EXPECT_EQ(layer.codes_moved == 0, is_rtn) << layer.name;
    }
    const auto kept = std::count_if(report.blocks.begin(), report.blocks.end(),
                                    [](const BlockReport& block) { return block.kept; });
    EXPECT_GE(kept, 3);
    const auto trained = std::count_if(sim.weights().begin(), sim.weights().end(),
                                       [](const QuantizedWeight& weight) { return weight.trained; });
    EXPECT_EQ(trained, recipe.trains() ? 2 * kept : 0) << "two layers a block";
  }
}

TEST(Recipes, OfNoTrainingTakeNoBudget) {
  QuantizationSimModel sim = seed_sim();
  const AdaScaleOptions options{.num_iterations = 10, .recipe = "clip"};
  EXPECT_EQ(error_of([&] { apply_adascale(sim, seed_batches(1), options); }),
            "recipe = \"clip\": trains nothing; leave out num_epochs and num_iterations");
}

}  // namespace
}  // namespace adascale
