#include "adascale/tune/program_walk.h"

#include "adascale/core/passes.h"
#include "adascale/tune/activation_memory.h"
#include "adascale/tune/adascale.h"
#include "adascale/tune/trained_layers.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

/// Its last block is a head: 100 logits of 16 activations, which the loss alone reads.
struct Headed {
  QuantizationSimModel sim;
  std::vector<Block> blocks = find_blocks(sim.program());
  std::vector<Inputs> batches;
  ValueId hidden, logits;

  explicit Headed(int64_t bits = 4)
      : sim(load_program(testing::model_file("headed")),
            {.default_param_bw = bits, .default_output_bw = kOffBits}) {
    for (Block& head : blocks_of_layers_outside(sim, blocks)) blocks.push_back(std::move(head));
    at::manual_seed(3);
    for (int i = 0; i < 4; ++i) batches.push_back({at::randn({5, 16})});
    hidden = blocks.at(0).activations_out.at(0), logits = blocks.at(1).activations_out.at(0);
  }
  /// At the head, after its FP run.
  std::unique_ptr<ProgramWalk> walk(int64_t bytes, c10::ScalarType compute_type = at::kFloat) {
    auto walk = std::make_unique<ProgramWalk>(sim, blocks, batches, ActivationStore(bytes),
                                              /*state_bytes=*/0, compute_type);
    walk->reach(0);
    walk->run_fp(0);
    walk->run_quant(0);
    walk->leave(0);
    walk->reach(1);
    walk->run_fp(1);
    return walk;
  }
};

TEST(ProgramWalk, LogitsWithoutRoomAreComputedAnew) {
  Headed model;
  const auto without = model.walk(0), with = model.walk(1 << 20);
  for (int64_t batch = 0; batch < 4; ++batch) {
    EXPECT_FALSE(without->fp(batch).has(model.logits));
    EXPECT_TRUE(without->fp(batch).has(model.hidden)) << "the head reads it: it waits in the file";
    EXPECT_TRUE(with->fp(batch).has(model.logits));
    const at::Tensor logits = model.sim.run(model.batches[batch], SimMode::kFloat)[0].toTensor();
    EXPECT_TRUE(without->fp_outputs(1, batch)[0].equal(logits));
    EXPECT_TRUE(with->fp_outputs(1, batch)[0].equal(logits));
  }
  with->leave(1);
  EXPECT_FALSE(with->fp(0).has(model.logits));
}

TEST(ProgramWalk, TheFullPrecisionStreamMultipliesInTheTypeThatBlocksTrainIn) {
  Headed model;
  const auto full = model.walk(1 << 20), lower = model.walk(1 << 20, at::kBFloat16),
             anew = model.walk(0, at::kBFloat16);
  for (int64_t batch = 0; batch < 4; ++batch) {
    const at::Tensor logits = lower->fp_outputs(1, batch)[0], exact = full->fp_outputs(1, batch)[0];
    const double error = logits.sub(exact).norm().div(exact.norm()).item<double>();
    EXPECT_GT(error, 1e-4) << "of bf16";
    EXPECT_LT(error, 1e-2);
    EXPECT_TRUE(anew->fp_outputs(1, batch)[0].equal(logits));
  }
}

TEST(ProgramWalk, TheFullPrecisionStreamOfWeightsOfManyBitsStaysFloat) {
  Headed model(8);
  const auto full = model.walk(1 << 20), lower = model.walk(1 << 20, at::kBFloat16);
  for (int64_t batch = 0; batch < 4; ++batch)
    EXPECT_TRUE(lower->fp_outputs(1, batch)[0].equal(full->fp_outputs(1, batch)[0]));
}

TEST(ProgramWalk, LastOutputsStayWhereTheyAreAskedFor) {
  Headed model;
  const auto walk = model.walk(1 << 20);
  walk->keep_last_outputs();
  walk->leave(1);
  for (size_t batch = 0; batch < 4; ++batch) {
    const at::Tensor logits = model.sim.run(model.batches[batch], SimMode::kFloat)[0].toTensor();
    EXPECT_TRUE(walk->float_stream().at(batch).tensor(model.logits).equal(logits));
    EXPECT_FALSE(walk->float_stream().at(batch).has(model.hidden)) << "only this block read it";
  }
}

TEST(ProgramWalk, QuantizedLogitsAreSeenAndDropped) {
  Headed model;
  const auto walk = model.walk(1 << 20);
  std::vector<at::Tensor> seen;
  walk->run_quant(1, {}, [&](int64_t batch, const Environment& environment) {
    EXPECT_EQ(batch, static_cast<int64_t>(seen.size()));
    seen.push_back(environment.tensor(model.logits));
  });
  ASSERT_EQ(seen.size(), 4u);
  for (int64_t batch = 0; batch < 4; ++batch) {
    EXPECT_TRUE(seen[batch].equal(model.sim.run(model.batches[batch], SimMode::kWeightsOnly)[0].toTensor()));
    EXPECT_FALSE(walk->quant(batch).has(model.logits));
  }
}

/// Whole blocks are not run anew: their work may be worth more than the disk's.
TEST(ProgramWalk, OutputsOfAModuleWaitInTheFile) {
  Headed model;
  model.blocks = blocks_matching(model.sim.program(), {"block", "head"});
  ProgramWalk walk(model.sim, model.blocks, model.batches, ActivationStore(0), /*state_bytes=*/0);
  for (const size_t block : {0, 1}) {
    walk.reach(block);
    walk.run_fp(block);
    EXPECT_TRUE(walk.fp(0).has(block == 0 ? model.hidden : model.logits));
    walk.run_quant(block);
    walk.leave(block);
  }
}

TEST(ProgramWalk, QuantizedOutputsThatNobodySeesAreNotComputed) {
  Headed model;
  const auto walk = model.walk(0);
  int passes = 0;
  const WatchPasses watch([&](const PassEvent&) { ++passes; });
  walk->run_quant(1);
  EXPECT_EQ(passes, 0);
}

TEST(ProgramWalk, TheEstimateLeavesOutWhatIsComputedAnew) {
  Headed model;
  constexpr int64_t kActivation = 4 * 5 * 16 * 4;  // batches, rows, width, bytes
  EXPECT_EQ(estimate_activation_bytes(model.sim.program(), model.blocks, model.batches, true),
            4 * kActivation)
      << "the first block's inputs and outputs; the head takes its inputs alone";
  model.blocks.pop_back();
  EXPECT_EQ(estimate_activation_bytes(model.sim.program(), model.blocks, model.batches, true),
            3 * kActivation)
      << "no block reads the outputs: no quantized ones are kept";
}

TEST(ProgramWalk, AHeadTrainedWithAndWithoutRoomIsTheSame) {
  std::vector<at::Tensor> codes;
  for (const int64_t memory : {1024, 0}) {
    Headed model;
    const auto report = apply_adascale(
        model.sim, model.batches,
        {.num_epochs = 5, .train_outside = true, .held_out_batches = 1, .activation_memory = memory});
    ASSERT_EQ(report.blocks.size(), 2u);
    EXPECT_LT(report.blocks[1].loss_after, report.blocks[1].loss_before);
    codes.push_back(model.sim.weights().back().encoding->codes);
  }
  EXPECT_TRUE(codes[0].equal(codes[1]));
}

}  // namespace
}  // namespace adascale
