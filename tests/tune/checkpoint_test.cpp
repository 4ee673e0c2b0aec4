// A run that was interrupted and goes on ends as one that was not.
#include "adascale/tune/checkpoint.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "adascale/tune/recipe.h"
#include "tune/checkpoint_case.h"

namespace adascale {
namespace {

using testing::Checkpoints;
using testing::expect_resumes;
using testing::expect_same;
using testing::few;
using testing::Interrupted;
using testing::model_file;
using testing::Result;
using testing::result_of;
using testing::seed_batches;
using testing::seed_sim;
using testing::text_of;
using testing::train;
using testing::w4a16;

TEST_F(Checkpoints, EveryRecipeGoesOn) {
  for (const Recipe& recipe : recipes()) {
    SCOPED_TRACE(recipe.name);
    if (recipe.trains()) expect_resumes([] { return seed_sim(); }, few(recipe.name));
  }
}

/// Trains with the recipe `best`, and stops at that iteration of the last stage; 0: at none.
Result train_best(AdaScaleOptions options, int64_t stop_at, int64_t* seen = nullptr) {
  QuantizationSimModel sim = seed_sim();
  int64_t iterations = 0;
  options.recipe = "best", options.num_iterations = 20;
  options.progress = [&](const ProgressEvent& event) {
    if (!event.stage.starts_with("last stage") || !event.loss) return;
    ++iterations;
    if (event.step == stop_at) throw Interrupted();
  };
  const AdaScaleReport report = apply_adascale(sim, seed_batches(16), options);
  EXPECT_TRUE(report.last_stage && report.last_stage->kept && report.last_stage->iterations == 20);
  if (seen != nullptr) *seen = iterations;
  return result_of(sim, report);
}

TEST_F(Checkpoints, LastStageGoesOn) {
  const Result whole = train_best({}, 0);
  EXPECT_THROW(train_best(options_, 13), Interrupted);
  options_.resume = true, log_.clear();
  int64_t seen = 0;
  expect_same(train_best(options_, 0, &seen), whole);
  EXPECT_EQ(seen, 8) << "two at a time are kept: 12 were";
  EXPECT_NE(log_.find("last stage: goes on behind 12 iterations"), std::string::npos) << log_;
}

TEST_F(Checkpoints, LastStageOfADamagedFileBeginsAnew) {
  const Result whole = train_best({}, 0);
  EXPECT_THROW(train_best(options_, 13), Interrupted);
  {
    std::fstream damaged(file("last-stage.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekp(-40, std::ios::end), damaged.put('~');
  }
  options_.resume = true, log_.clear();
  int64_t seen = 0;
  expect_same(train_best(options_, 0, &seen), whole);
  EXPECT_EQ(seen, 20);
  EXPECT_NE(log_.find("is damaged: its digest differs; the last stage begins anew"), std::string::npos)
      << log_;
}

TEST_F(Checkpoints, LastStageOfOtherScalesBeginsAnew) {
  const Result whole = train_best({}, 0);
  EXPECT_THROW(train_best(options_, 13), Interrupted);
  AdaScaleOptions one = options_;
  one.checkpoint_dir = folder_.path("other"), one.lr_scale = 2;
  EXPECT_THROW(train_best(one, 13), Interrupted);
  std::filesystem::copy_file(one.checkpoint_dir + "/last-stage.safetensors", file("last-stage.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  options_.resume = true, log_.clear();
  expect_same(train_best(options_, 0), whole);
  EXPECT_NE(log_.find("started from other weights or options; the last stage begins anew"), std::string::npos)
      << log_;
}

TEST_F(Checkpoints, EveryGridGoesOn) {
  for (const SimOptions& grid : {SimOptions{.default_param_bw = 2, .group_size = 16, .symmetric = false},
                                 SimOptions{.default_param_bw = 4, .group_size = 16, .decompressed_bw = 8},
                                 SimOptions{.default_param_bw = 4, .grid = "mxfp4"},
                                 SimOptions{.default_param_bw = 4, .grid = "nvfp4"},
                                 SimOptions{.default_param_bw = 3, .in_place = true}}) {
    SCOPED_TRACE(grid.grid);
    SimOptions options = grid;
    options.default_output_bw = kOffBits;
    expect_resumes([&] { return QuantizationSimModel(load_program(model_file("seed")), options); }, few());
  }
}

TEST_F(Checkpoints, LowPrecisionInTrainingGoesOn) {
  AdaScaleOptions options = few();
  options.precision = "bfloat16";
  expect_resumes([] { return seed_sim(); }, options);
  options.precision = "float32", options.held_out_batches = 1, options.seed = 5;
  expect_resumes([] { return seed_sim(); }, options);
}

TEST_F(Checkpoints, PartsGoOn) {
  const auto train_parts = [&](AdaScaleOptions options, int stop_at) {
    QuantizationSimModel a = seed_sim(), b = seed_sim(2);
    const PartedModel model{.parts = {{a, "linear_blocks.0"}, {b, "linear_blocks.1"}}};
    options.progress = [stop_at](const ProgressEvent& event) {
      if (event.loss && event.stage.starts_with(fmt::format("block {}/", stop_at))) throw Interrupted();
    };
    const auto batches = seed_batches(3);
    const AdaScaleReport report = apply_adascale(
        model, {batches, batches},
        [&](size_t, ActivationStore&) {
          return PartInputs{batches, batches};
        },
        options);
    return std::pair{result_of(a, report), result_of(b, report)};
  };
  const auto whole = train_parts(few(), 0);
  EXPECT_THROW(train_parts(options_, 2), Interrupted);
  options_.resume = true;
  const auto resumed = train_parts(options_, 0);
  EXPECT_NE(log_.find("goes on behind 1 finished block"), std::string::npos) << log_;
  expect_same(resumed.first, whole.first);
  expect_same(resumed.second, whole.second);
}

TEST_F(Checkpoints, FinishedBlocksAreNotTrainedAgain) {
  interrupt(4);
  std::set<std::string> stages;
  options_.progress = [&](const ProgressEvent& event) {
    if (event.pass == "training") stages.insert(event.stage);
  };
  resume();
  EXPECT_EQ(stages, (std::set<std::string>{"block 4/5 linear_blocks.3", "block 5/5 linear_blocks.4"}));
  EXPECT_NE(log_.find("checkpoint: goes on behind 3 finished blocks"), std::string::npos) << log_;
}

/// Whoever ends runs at a pass would lose a block that is trained.
TEST_F(Checkpoints, KeepingABlockIsNoPass) {
  std::set<std::string> passes;
  options_.progress = [&](const ProgressEvent& event) { passes.insert(event.pass); };
  resume();
  EXPECT_EQ(passes.count("training"), 1u);
  for (const std::string& pass : passes) EXPECT_FALSE(pass.starts_with("writing")) << pass;
}

TEST_F(Checkpoints, ResumeWithoutAnyStartsFromTheBeginning) {
  options_.resume = true;
  expect_same(resume(), train([] { return seed_sim(); }, few()));
  EXPECT_NE(log_.find("holds no finished block: starts from the beginning"), std::string::npos) << log_;
}

TEST_F(Checkpoints, ADamagedBlockIsTrainedAgain) {
  const Result whole = train([] { return seed_sim(); }, few());
  const auto damage = [&](const std::function<void(std::string&)>& change) {
    std::filesystem::remove_all(options_.checkpoint_dir);
    options_.resume = false;
    interrupt(5);
    std::string bytes = text_of(file("block-00002.safetensors"));
    change(bytes);
    std::ofstream(file("block-00002.safetensors"), std::ios::binary) << bytes;
    expect_same(resume(), whole);
    EXPECT_NE(log_.find("block-00002.safetensors"), std::string::npos) << log_;
    EXPECT_NE(log_.find("; trained again from this block on\n"), std::string::npos) << log_;
    EXPECT_NE(log_.find("goes on behind 2 finished blocks"), std::string::npos) << log_;
  };
  damage([](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  damage([](std::string& bytes) { bytes.clear(); });
  damage([](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; });
  damage([](std::string& bytes) { bytes[12] ^= 1; });
  damage([](std::string& bytes) { bytes.back() ^= 1; });
}

TEST_F(Checkpoints, AForgedBlockIsTrainedAgain) {
  const Result whole = train([] { return seed_sim(); }, few());
  interrupt(4);
  SavedBlock forged;
  const QuantizationSimModel sim = seed_sim();
  for (const int32_t weight : {0, 1}) forged.encodings.push_back(sim.weight_encoding(weight));
  forged.encodings[0].codes = forged.encodings[0].codes.to(at::kFloat);
  write_block(file("block-00000.safetensors"), forged);
  expect_same(resume(), whole);
  EXPECT_NE(log_.find("has codes, scales or offsets of another kind than its grid"), std::string::npos)
      << log_;
}

TEST_F(Checkpoints, ABlockWithNothingToTrainDoesNotEndTheReading) {
  const auto make = [] {
    SimOptions options = w4a16();
    options.layer_config = {{"linear_blocks.0.*", {.param_bw = 32}}};
    return QuantizationSimModel(load_program(model_file("seed")), options);
  };
  EXPECT_THROW(train(make, options_, 4), Interrupted);
  std::set<std::string> trained;
  options_.resume = true;
  options_.progress = [&](const ProgressEvent& event) {
    if (event.loss) trained.insert(event.stage);
  };
  resume(make);
  EXPECT_EQ(trained.size(), 2U) << "the blocks behind those that were finished";
}

TEST_F(Checkpoints, WhatAKillLeftIsRemoved) {
  interrupt(2);
  std::ofstream(file(".adascale-abcdefgh.block-00001.safetensors")) << "half";
  resume();
  EXPECT_FALSE(std::filesystem::exists(file(".adascale-abcdefgh.block-00001.safetensors")));
}

TEST_F(Checkpoints, TheNumberOfThreadsIsTakenOverAndGivenBack) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  interrupt(3);
  at::set_num_threads(2);
  int within = 0;
  options_.progress = [&](const ProgressEvent&) { within = at::get_num_threads(); };
  resume();
  EXPECT_EQ(within, 1);
  EXPECT_EQ(at::get_num_threads(), 2);
  at::set_num_threads(before);
}

TEST_F(Checkpoints, RemovingOneLeavesOtherFiles) {
  interrupt(2);
  std::ofstream(file("note.txt")) << "mine";
  remove_checkpoint(options_.checkpoint_dir);
  EXPECT_TRUE(std::filesystem::exists(file("note.txt")));
  std::filesystem::remove(file("note.txt"));
  remove_checkpoint(options_.checkpoint_dir);
  EXPECT_TRUE(std::filesystem::exists(options_.checkpoint_dir)) << "without run.json it is no checkpoint";
}

}  // namespace
}  // namespace adascale
