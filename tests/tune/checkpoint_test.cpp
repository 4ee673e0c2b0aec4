// A run that was interrupted and goes on ends as one that was not.
#include "adascale/tune/checkpoint.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <functional>
#include <set>

#include "adascale/core/progress.h"
#include "adascale/tune/recipe.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::Folder;
using testing::model_file;
using testing::seed_batches;
using testing::seed_sim;
using testing::text_of;
using testing::w4a16;

struct Interrupted {};

/// What training left: the encodings and the report.
struct Result {
  std::vector<Encoding> encodings;
  std::vector<at::Tensor> states;
  std::vector<bool> trained;
  std::map<std::string, std::string> training;
  std::string report;
};

/// The report without times.
std::string text_of(AdaScaleReport report) {
  report.seconds = 0;
  std::string text = fmt::format("{} {}\n", report.recipe, report.precision);
  for (const BlockReport& block : report.blocks) {
    text += fmt::format("{} {} {} {} {} {} {} {}\n", block.name, block.loss_before, block.loss_after,
                        block.held_out_before.value_or(-1), block.iterations, block.step_length, block.kept,
                        block.note);
    for (const LayerReport& layer : block.layers)
      text += fmt::format("{} {} {} {} {}\n", layer.name, layer.grid, layer.sqnr_rtn_db, layer.sqnr_db,
                          layer.codes_moved);
  }
  for (const std::string& line : report.not_trained) text += line + "\n";
  return text;
}

Result result_of(const QuantizationSimModel& sim, const AdaScaleReport& report) {
  Result result{.training = sim.training(), .report = text_of(report)};
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[i];
    result.encodings.push_back(sim.weight_encoding(static_cast<int32_t>(i)));
    result.states.push_back(sim.state(weight.layer.parameters.front()).clone());
    result.trained.push_back(weight.trained);
  }
  return result;
}

void expect_same(const Result& a, const Result& b) {
  EXPECT_EQ(a.report, b.report);
  EXPECT_EQ(a.training, b.training);
  EXPECT_EQ(a.trained, b.trained);
  ASSERT_EQ(a.encodings.size(), b.encodings.size());
  for (size_t i = 0; i < a.encodings.size(); ++i) {
    const Encoding &one = a.encodings[i], &other = b.encodings[i];
    EXPECT_EQ(one.name, other.name);
    EXPECT_EQ(one.grid, other.grid);
    EXPECT_EQ(one.source_dtype, other.source_dtype);
    EXPECT_EQ(one.sqnr_db, other.sqnr_db);
    EXPECT_TRUE(one.codes.equal(other.codes)) << one.name;
    EXPECT_EQ(one.codes.scalar_type(), other.codes.scalar_type());
    EXPECT_TRUE(one.scale.equal(other.scale)) << one.name;
    EXPECT_TRUE(one.offset.equal(other.offset)) << one.name;
    ASSERT_EQ(one.minimum.has_value(), other.minimum.has_value());
    if (one.minimum) EXPECT_TRUE(one.minimum->equal(*other.minimum)) << one.name;
    ASSERT_EQ(one.parts.size(), other.parts.size());
    for (const auto& [name, part] : one.parts) EXPECT_TRUE(part.equal(other.parts.at(name))) << name;
    EXPECT_TRUE(a.states[i].equal(b.states[i])) << one.name;
  }
}

using MakeSim = std::function<QuantizationSimModel()>;

/// Trains, and stops at the first iteration of the block of that number; 0: at none.
Result train(const MakeSim& make, AdaScaleOptions options, int stop_at = 0) {
  QuantizationSimModel sim = make();
  if (stop_at > 0)
    options.progress = [stop_at](const ProgressEvent& event) {
      if (event.loss && event.stage.starts_with(fmt::format("block {}/", stop_at))) throw Interrupted();
    };
  const AdaScaleReport report = apply_adascale(sim, seed_batches(4), options);
  return result_of(sim, report);
}

/// Interrupts at several blocks, and expects each time what an uninterrupted run gives.
void expect_resumes(const MakeSim& make, const AdaScaleOptions& options) {
  const Result whole = train(make, options);
  for (const int stop_at : {2, 4}) {
    const Folder folder;
    AdaScaleOptions kept = options;
    kept.checkpoint_dir = folder.path("checkpoint");
    EXPECT_THROW(train(make, kept, stop_at), Interrupted);
    kept.resume = true;
    EXPECT_THROW(train(make, kept, 5), Interrupted) << "a second time";
    expect_same(train(make, kept), whole);
    expect_same(train(make, kept), whole);  // all blocks from the folder
  }
}

AdaScaleOptions few(const std::string& recipe = "fast") {
  return {.num_iterations = 6, .recipe = recipe};
}

class Checkpoints : public ::testing::Test {
 protected:
  Checkpoints() {
    set_log_sink([this](const std::string& line) { log_ += line + "\n"; });
    options_.checkpoint_dir = folder_.path("checkpoint");
  }
  ~Checkpoints() override { set_log_sink({}); }

  std::string file(const std::string& name) const { return options_.checkpoint_dir + "/" + name; }

  void interrupt(int stop_at) {
    EXPECT_THROW(train([] { return seed_sim(); }, options_, stop_at), Interrupted);
    options_.resume = true;
    log_.clear();
  }

  Result resume(const MakeSim& make = [] { return seed_sim(); }) { return train(make, options_); }

  Folder folder_;
  AdaScaleOptions options_ = few();
  std::string log_;
};

TEST_F(Checkpoints, EveryRecipeGoesOn) {
  for (const Recipe& recipe : recipes()) {
    SCOPED_TRACE(recipe.name);
    if (recipe.trains()) expect_resumes([] { return seed_sim(); }, few(recipe.name));
  }
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

TEST_F(Checkpoints, WithoutResumeFinishedBlocksAreKeptAndSaid) {
  interrupt(3);
  options_.resume = false;
  EXPECT_EQ(error_of([&] { resume(); }),
            options_.checkpoint_dir +
                ": holds 2 finished blocks of an interrupted run; go on with resume = "
                "true, or remove the folder to start anew");
  EXPECT_TRUE(std::filesystem::exists(file("block-00001.safetensors")));
}

TEST_F(Checkpoints, ResumeWithoutAnyStartsFromTheBeginning) {
  options_.resume = true;
  expect_same(resume(), train([] { return seed_sim(); }, few()));
  EXPECT_NE(log_.find("holds no finished block: starts from the beginning"), std::string::npos) << log_;
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
      {"blocks: got linear_blocks.0, but the interrupted run had nothing",
       [](AdaScaleOptions& o) { o.blocks = {"linear_blocks.0"}; }},
  };
  for (const auto& [text, change] : changes) {
    const std::string error = refusal(change);
    EXPECT_NE(error.find("checkpoint: " + text), std::string::npos) << error;
    EXPECT_TRUE(error.ends_with("; give the same, or remove the folder to start anew")) << error;
    EXPECT_EQ(error.find("interrupted"), error.rfind("interrupted")) << error;  // the option alone
  }
  const std::string two = refusal([](AdaScaleOptions& o) { o.seed = 1, o.lr_scale = 0.5; });
  EXPECT_NE(two.find("seed: got 1"), std::string::npos) << two;
  EXPECT_NE(two.find("lr_scale: got 0.5"), std::string::npos) << two;
}

TEST_F(Checkpoints, AnotherModelOrOtherDataAreRefused) {
  interrupt(2);
  EXPECT_NE(error_of([&] {
              resume([] { return seed_sim(4); });
            }).find("checkpoint: default_param_bw: got 4, but the interrupted run had 3; give the same"),
            std::string::npos);
  const auto other_grids = [] {
    SimOptions options = seed_sim().options();
    options.layer_config = {{"linear_blocks.0.*", {.param_bw = 4}}};
    return QuantizationSimModel(load_program(model_file("seed")), options);
  };
  const std::string grids = error_of([&] { resume(other_grids); });
  EXPECT_NE(grids.find("checkpoint: the layers' grids (layer_config, config_file or formats): not what the "
                       "interrupted run had; give the same"),
            std::string::npos)
      << grids;
  const auto other_weights = [] {
    Program program = load_program(model_file("seed"));
    program.state.begin()->second.detach().add_(1e-3);
    return QuantizationSimModel(std::move(program), seed_sim().options());
  };
  EXPECT_NE(error_of([&] {
              resume(other_weights);
            }).find("checkpoint: the numbers of the model's weights: not what"),
            std::string::npos);
  QuantizationSimModel sim = seed_sim();
  EXPECT_NE(error_of([&] {
              apply_adascale(sim, seed_batches(3), options_);
            }).find("checkpoint: the calibration data: not what"),
            std::string::npos);
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
  };
  damage([](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  damage([](std::string& bytes) { bytes.clear(); });
  damage([](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; });
  damage([](std::string& bytes) { bytes[12] ^= 1; });
  damage([](std::string& bytes) { bytes.back() ^= 1; });
}

TEST_F(Checkpoints, ADamagedRunIsRefused) {
  interrupt(3);
  for (const std::string text : {"", "{", "[]", "{\"file\": \"checkpoint of adascale\"}",
                                 "{\"file\": \"checkpoint of adascale\", \"run\": {}}"}) {
    std::ofstream(file("run.json")) << text;
    const std::string error = error_of([&] { resume(); });
    EXPECT_NE(error.find("run.json"), std::string::npos) << error;
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
  EXPECT_NE(error.find("; make room there, or make it writable; folded before it: linear_blocks.0, "
                       "linear_blocks.1, linear_blocks.2; 2 finished blocks in " +
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
