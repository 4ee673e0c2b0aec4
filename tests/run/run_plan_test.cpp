#include "adascale/run/run_plan.h"

#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "adascale/core/counters.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/quantize.h"
#include "adascale/tune/recipe.h"
#include "error_text.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

class RunPlanTest : public RunTest {};

const Doors kDoors = {pt2_door()};

TEST_F(RunPlanTest, DecidesOnceAndSaysWhat) {
  const int64_t before = count_of(Counted::kFindBlocks);
  RunPlan plan = plan_run(request(), kDoors);
  EXPECT_EQ(plan.training.parts.front().blocks.size(), 2);
  EXPECT_EQ(plan.training.iterations, 2);
  EXPECT_EQ(plan.batches.inputs.size(), 3);
  EXPECT_HAS(describe(plan), "2 iterations per block");
  EXPECT_FALSE(fs::exists(path("out")));
  run(plan, {});
  EXPECT_EQ(count_of(Counted::kFindBlocks) - before, 1);
}

TEST_F(RunPlanTest, QuantizeWritesTheFilesThatThePlanNames) {
  const RunPlan plan = plan_run(request(), kDoors);
  const AdaScaleReport report = quantize(request());
  EXPECT_EQ(report.blocks.size(), 2);
  for (const std::string& file : plan.files.paths()) EXPECT_TRUE(fs::exists(file)) << file;
  const auto written = nlohmann::json::parse(read_bytes(path("out/report.json")));
  EXPECT_EQ(written.at("adascale.plan"), hash_of(plan));
  EXPECT_EQ(written.at("plan"), nlohmann::json::parse(canonical_json(plan)));
  EXPECT_EQ(written.at("blocks").size(), 2);
  EXPECT_EQ(written.at("blocks")[0].at("layers")[0].at("name"), report.blocks[0].layers[0].name);
}

TEST_F(RunPlanTest, TheHashIsInTheFilesButNotInTheEncodings) {
  const std::string hash = hash_of(plan_run(request(), kDoors));
  EXPECT_EQ(hash.size(), 40);
  quantize(request());
  EXPECT_HAS(read_bytes(path("out/blocks.safetensors")), "\"adascale.plan\":\"" + hash + "\"");
  EXPECT_HAS(read_bytes(path("out/blocks.pt2")), hash);
  EXPECT_EQ(read_bytes(path("out/blocks.encodings")).find(hash), std::string::npos);
  EXPECT_EQ(read_bytes(path("out/blocks_torch.encodings")).find(hash), std::string::npos);
}

/// Changes that alter the files' bytes, and some that do not.
using Change = std::function<void(QuantizeRequest&)>;

TEST_F(RunPlanTest, TheHashFollowsEveryDecision) {
  const std::vector<Change> changes = {
      [](QuantizeRequest& r) { r.sim.default_param_bw = 3; },
      [](QuantizeRequest& r) { r.sim.group_size = 8; },
      [](QuantizeRequest& r) { r.sim.group_size = 8, r.sim.decompressed_bw = 8; },
      [](QuantizeRequest& r) { r.sim.group_size = 8, r.sim.decompressed_bw = 7; },
      [](QuantizeRequest& r) { r.sim.symmetric = false; },
      [](QuantizeRequest& r) { r.formats = {"pt2"}, r.sim.scale_sign = "positive"; },
      [](QuantizeRequest& r) { r.formats = {"pt2"}; },
      [](QuantizeRequest& r) { r.sim.default_output_bw = 8; },
      [](QuantizeRequest& r) {
        r.sim.layer_config = {{"blocks.0.*", {.trained = false}}};
      },
      [](QuantizeRequest& r) { r.scheme = "post_training_tf_enhanced"; },
      [](QuantizeRequest& r) { r.outside_bw = 8; },
      [](QuantizeRequest& r) { r.training.num_iterations = 3; },
      [](QuantizeRequest& r) { r.training.recipe = "aimet"; },
      [](QuantizeRequest& r) { r.training.lr_scale = 0.5; },
      [](QuantizeRequest& r) { r.training.seed = 1; },
      [](QuantizeRequest& r) { r.training.keep_better = false; },
      [](QuantizeRequest& r) { r.training.held_out_batches = 1; },
      [](QuantizeRequest& r) { r.training.blocks = {"blocks.0"}; },
      [](QuantizeRequest& r) { r.data.options.samples = 16; },
      [](QuantizeRequest& r) { r.data.options.batch_size = 4; },
      [](QuantizeRequest& r) { r.formats = {"safetensors"}; },
      [](QuantizeRequest& r) { r.encoding_version = "0.6.1"; },
  };
  std::set<std::string> hashes = {hash_of(plan_run(request(), kDoors))};
  for (size_t i = 0; i < changes.size(); ++i) {
    QuantizeRequest changed = request();
    changes[i](changed);
    EXPECT_TRUE(hashes.insert(hash_of(plan_run(changed, kDoors))).second) << i;
  }
}

TEST_F(RunPlanTest, TheHashLeavesOutPathsAndLimits) {
  const std::vector<Change> changes = {
      [&](QuantizeRequest& r) { r.output_dir = path("elsewhere"); },
      [](QuantizeRequest& r) { r.training.activation_memory = 100; },
      [](QuantizeRequest& r) { r.training.deterministic = true; },
      [](QuantizeRequest& r) { r.sim.device = "cpu"; },
  };
  const std::string hash = hash_of(plan_run(request(), kDoors));
  for (const Change& change : changes) {
    QuantizeRequest changed = request();
    change(changed);
    EXPECT_EQ(hash_of(plan_run(changed, kDoors)), hash);
  }
}

TEST_F(RunPlanTest, ScalesMayBeNegativeWhereEveryFileHoldsThem) {
  const auto grid_of = [&](
                           std::vector<std::string> formats, const Change& change = [](QuantizeRequest&) {}) {
    QuantizeRequest asked = request();
    asked.formats = std::move(formats);
    change(asked);
    return plan_run(asked, kDoors).parts.front().sim.weights().front().grid;
  };
  const Change aimet = [](QuantizeRequest& r) { r.training.recipe = "aimet"; };
  const Change any = [](QuantizeRequest& r) { r.sim.scale_sign = "any"; };
  EXPECT_TRUE(grid_of({"safetensors", "pt2"}).signed_scale);
  EXPECT_FALSE(grid_of({"safetensors", "encodings"}).signed_scale);
  EXPECT_FALSE(grid_of({"safetensors"}, aimet).signed_scale);
  EXPECT_FALSE(
      grid_of({"safetensors"}, [](QuantizeRequest& r) { r.sim.scale_sign = "positive"; }).signed_scale);
  EXPECT_FALSE(grid_of({"safetensors"}, [](QuantizeRequest& r) { r.sim.symmetric = false; }).signed_scale);
  EXPECT_EQ(error_of([&] {
              grid_of({"safetensors", "encodings"}, any);
            }),
            "scale_sign = \"any\": encodings have positive scales alone; leave it out, or name other formats "
            "(formats)");
  EXPECT_EQ(error_of([&] { grid_of({"safetensors"}, [&](QuantizeRequest& r) { aimet(r), any(r); }); }),
            "scale_sign = \"any\": the scales of the recipe aimet are positive; leave it out, or choose "
            "another recipe");
}

/// Of `blocks`, whose layers are Linear: 20 samples in 3 batches, 2 iterations.
TEST_F(RunPlanTest, WorkIsCountedFromShapes) {
  const auto work_of = [&](const std::string& recipe) {
    QuantizeRequest asked = request();
    asked.training.recipe = recipe;
    if (!recipe_named(recipe).trains()) asked.training.num_iterations.reset();
    return plan_run(asked, kDoors).training.work;
  };
  constexpr double kWeights = 2 * 2 * 16 * 32, kForward = 2 * 20 * kWeights;
  const Work fast = work_of("fast"), aimet = work_of("aimet"), clip = work_of("clip"), rtn = work_of("rtn");
  EXPECT_DOUBLE_EQ(fast.flops, (1 + 3) * kForward + 2 * 3 * kForward / 3);
  EXPECT_DOUBLE_EQ(aimet.flops, (1 + 2) * kForward + 2 * 3 * kForward / 3);
  EXPECT_DOUBLE_EQ(rtn.flops, (1 + 2) * kForward);
  EXPECT_EQ(fast.visits, 2 * kWeights);
  EXPECT_EQ(clip.visits, 0);
  EXPECT_EQ(clip.searched, kWeights);
  EXPECT_EQ(aimet.searched, 0);
  EXPECT_EQ(fast.encoded, 3 * kWeights);
  EXPECT_DOUBLE_EQ(
      seconds_for(fast,
                  {.seconds_a_flop = 2, .seconds_a_search = 3, .seconds_a_code = 5, .seconds_a_visit = 7}),
      2 * fast.flops + 3 * fast.searched + 5 * fast.encoded + 7 * fast.visits);
}

/// A convolution multiplies by its kernel at each place: `cnn`.
TEST_F(RunPlanTest, WorkCountsKernels) {
  QuantizeRequest asked = request();
  asked.model = model_file("cnn");
  asked.data.files = {data("images.safetensors", {{"x", at::randn({4, 4, 6, 6})}})};
  asked.training.recipe = "rtn", asked.training.num_iterations.reset();
  const RunPlan plan = plan_run(asked, kDoors);
  const ModelPlan& model = plan.parts.front();
  double forward = 0;
  for (const QuantizedWeight& weight : model.sim.weights()) {
    const Program& program = model.sim.program();
    const at::IntArrayRef sizes = program.state.at(weight.layer.parameters.front()).sizes();
    const Value& output = program.values[program.nodes[weight.layer.nodes.front()].writes().front()];
    double elements = 4;
    for (size_t d = 1; d < output.sizes.size(); ++d) elements *= static_cast<double>(output.sizes[d].size);
    forward += 2 * elements * static_cast<double>(c10::multiply_integers(sizes) / sizes[0]);
  }
  EXPECT_DOUBLE_EQ(plan.training.work.flops, 3 * forward);
}

TEST_F(RunPlanTest, ADryRunPlansTheSameWithoutTheNumbersOfWeights) {
  QuantizeRequest asked = request();
  const std::string hash = hash_of(plan_run(asked, kDoors));
  asked.dry_run = true;
  EXPECT_EQ(hash_of(plan_run(asked, kDoors)), hash);
  std::string said;
  const AdaScaleReport report = quantize(asked, kDoors, [&](const std::string& text) { said += text; });
  EXPECT_HAS(said, " in all blocks, an estimate: ");
  EXPECT_EQ(report.blocks.size(), 0);
  EXPECT_FALSE(fs::exists(path("out")));

  asked.training.recipe = "rtn", asked.training.num_iterations.reset(), asked.sim.default_param_bw = 16;
  said.clear();
  quantize(asked, kDoors, [&](const std::string& text) { said += text; });
  EXPECT_EQ(said.find("time "), std::string::npos) << "no block decides a weight of 16 bits: " << said;
  asked = request();
  asked.dry_run = true;
  RunPlan dry = plan_run(asked, kDoors);
  EXPECT_HAS(error_of([&] { run(dry, {}); }), "the plan is of a dry run");

  asked.model = model_file("nan_weight");
  EXPECT_FALSE(plan_run(asked, kDoors).parts.front().sim.weights().front().range.min.defined());
  asked.dry_run = false;
  EXPECT_HAS(error_of([&] { plan_run(asked, kDoors); }), "blocks.0.fc1: the weight holds NaN");
}

TEST_F(RunPlanTest, TheReportHasItsPlaceBeforeWork) {
  fs::create_directories(path("out/report.json"));
  EXPECT_HAS(error_of([&] { plan_run(request(), kDoors); }), "out/report.json: is a folder");
}

TEST_F(RunPlanTest, ResumeWithNothingKeptNamesTheReason) {
  QuantizeRequest asked = request();
  asked.training.resume = true;
  asked.training.checkpoint_dir = "none";
  EXPECT_EQ(error_of([&] { plan_run(asked, kDoors); }),
            "resume: nothing is kept with checkpoint_dir = \"none\"; leave it out");
  asked.training.checkpoint_dir.clear();
  asked.training.recipe = "rtn";
  EXPECT_EQ(error_of([&] { plan_run(asked, kDoors); }),
            "resume: nothing is kept with recipe = \"rtn\"; leave it out");
}

TEST_F(RunPlanTest, WhatTheRunDecidesItselfIsRefused) {
  QuantizeRequest asked = request();
  asked.sim.quant_scheme = QuantScheme::post_training_percentile;
  asked.sim.in_place = true;
  const std::string error = error_of([&] { plan_run(asked, kDoors); });
  EXPECT_HAS(error, "sim.quant_scheme: is not used; set scheme");
  EXPECT_HAS(error, "sim.in_place, on_demand, fit_grid, is_part, reads_weights: a run decides them");
  asked = request();
  asked.output_dir.clear();
  EXPECT_EQ(error_of([&] { plan_run(asked, kDoors); }), "output_dir: got nothing, expected a folder");
}

}  // namespace
}  // namespace adascale::testing
