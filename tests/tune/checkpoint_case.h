#pragma once
#include <gtest/gtest.h>

#include <functional>

#include "adascale/core/progress.h"
#include "adascale/tune/checkpoint.h"
#include "tune/seed_case.h"

namespace adascale::testing {

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
inline std::string text_of(AdaScaleReport report) {
  report.seconds = 0;
  std::string text = fmt::format("{} {}\n", report.recipe, report.precision);
  for (const BlockReport& block : report.blocks) {
    text += fmt::format("{} {} {} {} {} {} {} {} {}\n", block.name, block.loss_before, block.loss_after,
                        block.held_out_before.value_or(-1), block.iterations, block.step_length, block.kept,
                        block.diverged, block.note);
    for (const LayerReport& layer : block.layers)
      text += fmt::format("{} {} {} {} {}\n", layer.name, layer.grid, layer.sqnr_rtn_db, layer.sqnr_db,
                          layer.codes_moved);
  }
  for (const std::string& line : report.not_trained) text += line + "\n";
  return text;
}

inline Result result_of(const QuantizationSimModel& sim, const AdaScaleReport& report) {
  Result result{.training = sim.training(), .report = text_of(report)};
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[i];
    result.encodings.push_back(sim.weight_encoding(static_cast<int32_t>(i)));
    result.states.push_back(sim.state(weight.layer.parameters.front()).clone());
    result.trained.push_back(weight.trained);
  }
  return result;
}

inline void expect_same(const Result& a, const Result& b) {
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
    if (one.minimum) {
      EXPECT_TRUE(one.minimum->equal(*other.minimum)) << one.name;
    }
    ASSERT_EQ(one.parts.size(), other.parts.size());
    for (const auto& [name, part] : one.parts) EXPECT_TRUE(part.equal(other.parts.at(name))) << name;
    EXPECT_TRUE(a.states[i].equal(b.states[i])) << one.name;
  }
}

using MakeSim = std::function<QuantizationSimModel()>;

/// Trains, and stops at the first iteration of the block of that number; 0: at none.
inline Result train(const MakeSim& make, AdaScaleOptions options, int stop_at = 0) {
  QuantizationSimModel sim = make();
  if (stop_at > 0)
    options.progress = [stop_at](const ProgressEvent& event) {
      if (event.loss && event.stage.starts_with(fmt::format("block {}/", stop_at))) throw Interrupted();
    };
  const AdaScaleReport report = apply_adascale(sim, seed_batches(4), options);
  return result_of(sim, report);
}

/// Interrupts at several blocks, and expects each time what an uninterrupted run gives.
inline void expect_resumes(const MakeSim& make, const AdaScaleOptions& options) {
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

inline AdaScaleOptions few(const std::string& recipe = "fast") {
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

}  // namespace adascale::testing
