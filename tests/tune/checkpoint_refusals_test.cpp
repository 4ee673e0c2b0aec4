// What a checkpoint refuses, and what it says.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tune/checkpoint_case.h"

namespace adascale {
namespace {

using testing::Checkpoints;
using testing::error_of;
using testing::few;
using testing::model_file;
using testing::seed_batches;
using testing::seed_sim;
using testing::text_of;
using testing::train;

TEST_F(Checkpoints, WithoutResumeFinishedBlocksAreKeptAndSaid) {
  interrupt(3);
  options_.resume = false;
  EXPECT_EQ(error_of([&] { resume(); }),
            options_.checkpoint_dir +
                ": holds 2 finished blocks of an interrupted run; go on with resume = "
                "true, or remove the folder to start anew");
  EXPECT_TRUE(std::filesystem::exists(file("block-00001.safetensors")));
}

TEST_F(Checkpoints, AnotherResultIsRefusedByTheFieldsName) {
  interrupt(2);
  const auto refusal = [&](const std::function<void(AdaScaleOptions&)>& change) {
    AdaScaleOptions options = options_;
    change(options);
    return error_of([&] { train([] { return seed_sim(); }, options); });
  };
  using Change = std::function<void(AdaScaleOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes = {
      {"num_iterations: got 7, but the interrupted run had 6",
       [](AdaScaleOptions& o) { o.num_iterations = 7; }},
      {"recipe: got aimet, but the interrupted run had fast", [](AdaScaleOptions& o) { o.recipe = "aimet"; }},
      {"seed: got 1, but the interrupted run had 0", [](AdaScaleOptions& o) { o.seed = 1; }},
      {"lr_scale: got 0.5, but the interrupted run had 1", [](AdaScaleOptions& o) { o.lr_scale = 0.5; }},
      {"keep_better: got false, but the interrupted run had true",
       [](AdaScaleOptions& o) { o.keep_better = false; }},
      {"held_out_batches: got 1, but the interrupted run had 0",
       [](AdaScaleOptions& o) { o.held_out_batches = 1; }},
      {"blocks: got linear_blocks.0, but the interrupted run had its default; leave it out",
       [](AdaScaleOptions& o) { o.blocks = {"linear_blocks.0"}; }},
  };
  for (const auto& [text, change] : changes) {
    const std::string error = refusal(change);
    EXPECT_NE(error.find("checkpoint: " + text), std::string::npos) << error;
    EXPECT_TRUE(error.ends_with(", or remove the folder to start anew")) << error;
    EXPECT_EQ(error.find("interrupted"), error.rfind("interrupted")) << error;  // the option alone
  }
  const std::string two = refusal([](AdaScaleOptions& o) { o.seed = 1, o.lr_scale = 0.5; });
  EXPECT_NE(two.find("seed: got 1"), std::string::npos) << two;
  EXPECT_NE(two.find("lr_scale: got 0.5"), std::string::npos) << two;
}

/// With one objection each: what follows from the difference is not named.
TEST_F(Checkpoints, AnotherModelOrOtherDataAreRefused) {
  interrupt(2);
  const auto refusal = [&](const std::string& said) {
    return fmt::format("{}: {}; give the same, or remove the folder to start anew", options_.checkpoint_dir,
                       said);
  };
  EXPECT_EQ(error_of([&] { resume([] { return seed_sim(4); }); }),
            refusal("default_param_bw: got 4, but the interrupted run had 3"));
  const auto other_grids = [] {
    SimOptions options = seed_sim().options();
    options.layer_config = {{"linear_blocks.0.*", {.param_bw = 4}}};
    return QuantizationSimModel(load_program(model_file("seed")), options);
  };
  EXPECT_EQ(
      error_of([&] { resume(other_grids); }),
      refusal("the layers' grids (layer_config, config_file or formats): not what the interrupted run had"));
  const auto other_weights = [] {
    Program program = load_program(model_file("seed"));
    program.state.begin()->second.detach().add_(1e-3);
    return QuantizationSimModel(std::move(program), seed_sim().options());
  };
  EXPECT_EQ(error_of([&] { resume(other_weights); }),
            refusal("the numbers of the model's weights: not what the interrupted run had"));
  EXPECT_EQ(error_of([&] {
              QuantizationSimModel sim = seed_sim();
              apply_adascale(sim, seed_batches(3), options_);
            }),
            refusal("the calibration data: not what the interrupted run had"));
}

TEST_F(Checkpoints, EpochsOverOtherDataAreOtherDataAlone) {
  options_.num_iterations.reset();
  options_.num_epochs = 2;
  interrupt(2);
  EXPECT_EQ(error_of([&] {
              QuantizationSimModel sim = seed_sim();
              apply_adascale(sim, seed_batches(3), options_);
            }),
            options_.checkpoint_dir +
                ": the calibration data: not what the interrupted run had; give the same, or remove the "
                "folder to start anew");
}

TEST_F(Checkpoints, ADamagedRunIsRefused) {
  interrupt(3);
  for (const std::string text : {"", "{", "[]", "{\"file\": \"checkpoint of adascale\"}",
                                 "{\"file\": \"checkpoint of adascale\", \"run\": {}}"}) {
    std::ofstream(file("run.json")) << text;
    const std::string error = error_of([&] { resume(); });
    EXPECT_NE(error.find("run.json"), std::string::npos) << error;
    EXPECT_EQ(error.find("parse error"), std::string::npos) << error;
    EXPECT_NE(error.find("; remove the checkpoint's folder to start anew"), std::string::npos) << error;
  }
}

TEST_F(Checkpoints, AFlippedDigitInTheRunIsNotAnotherRun) {
  interrupt(3);
  std::string text = text_of(file("run.json"));
  const size_t digit = text.find("\"seed\": \"0\"");
  ASSERT_NE(digit, std::string::npos) << text;
  std::ofstream(file("run.json")) << text.replace(digit, 11, "\"seed\": \"1\"");
  EXPECT_EQ(error_of([&] { resume(); }),
            file("run.json") +
                ": is damaged, or of another version of adascale: its digest differs; remove the "
                "checkpoint's folder to start anew");
}

TEST_F(Checkpoints, AFullDiskSaysWhatIsKeptAndHowToGoOn) {
  rlimit before_all{};
  getrlimit(RLIMIT_FSIZE, &before_all);
  const auto limit_files = [&](rlim_t bytes) {
    const rlimit limit{bytes, before_all.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto before = std::signal(SIGXFSZ, SIG_IGN);  // writing then fails, as on a full disk
  options_.progress = [&](const ProgressEvent& event) {
    if (event.stage.starts_with("block 3/")) limit_files(64);
  };
  const std::string error = error_of([&] { resume(); });
  limit_files(before_all.rlim_cur);
  std::signal(SIGXFSZ, before);
  EXPECT_NE(
      error.find("cannot be written: File too large; raise the limit of a file's size (ulimit -f), or choose "
                 "another folder; 2 finished blocks in " +
                 options_.checkpoint_dir + ": resume = true and the same options go on behind them"),
      std::string::npos)
      << error;
}

TEST_F(Checkpoints, AFolderOfOtherFilesIsRefused) {
  std::filesystem::create_directories(options_.checkpoint_dir);
  std::ofstream(file("thesis.tex")) << "text";
  EXPECT_EQ(error_of([&] { resume(); }), options_.checkpoint_dir +
                                             ": holds thesis.tex, which is no file of a checkpoint; give "
                                             "another checkpoint_dir, or checkpoint_dir = \"none\"");
  EXPECT_EQ(text_of(file("thesis.tex")), "text");
}

TEST_F(Checkpoints, BlocksWithoutTheirRunAreNobodysToRemove) {
  interrupt(3);
  std::filesystem::remove(file("run.json"));
  EXPECT_NE(error_of([&] { resume(); }).find(": holds block-0000"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(file("block-00001.safetensors")));
}

TEST_F(Checkpoints, SomebodysRunIsNotWrittenOver) {
  std::filesystem::create_directories(options_.checkpoint_dir);
  std::ofstream(file("run.json")) << "{\"epoch\": 3}";
  EXPECT_NE(error_of([&] { resume(); }).find("is no file of a checkpoint of adascale"), std::string::npos);
  EXPECT_EQ(text_of(file("run.json")), "{\"epoch\": 3}");
}

TEST_F(Checkpoints, ResumeNeedsAFolder) {
  AdaScaleOptions options = few();
  options.resume = true;
  EXPECT_NE(error_of([&] {
              train([] { return seed_sim(); }, options);
            }).find("resume: nothing is kept without checkpoint_dir; give it too"),
            std::string::npos);
}

TEST_F(Checkpoints, TwoRunsDoNotShareAFolder) {
  const Checkpoint other(options_.checkpoint_dir, false, {}, *present_team());
  EXPECT_NE(error_of([&] { resume(); }).find("another run works in this folder"), std::string::npos);
}

}  // namespace
}  // namespace adascale
