// Candidates of a block are compared on a part of the batches; what holds for all is checked on all.
#include <gtest/gtest.h>

#include "adascale/tune/adascale.h"
#include "adascale/tune/recipe.h"
#include "adascale/tune/training_plan.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::seed_batches;
using testing::seed_sim;

constexpr int kLeftOut = 4;  // of 40 batches trained on, every fifth

std::vector<int64_t> compared(int count, int64_t held_out) {
  const QuantizationSimModel sim = seed_sim();
  const AdaScaleOptions options{.held_out_batches = held_out};
  return plan_training(sim, blocks_to_train(sim.program(), options), seed_batches(count), options)
      .compared_batches(count);
}

/// The batch left out is so large that its outputs overflow.
std::vector<Inputs> batches_with_an_overflow(int64_t batch) {
  std::vector<Inputs> batches = seed_batches(40);
  batches[batch][0] = batches[batch][0].toTensor().mul(1e37);
  return batches;
}

TEST(ComparedBatches, AreEvenlySpacedWithAllThatAreHeldOut) {
  const std::vector<int64_t> batches = compared(43, 3);
  ASSERT_EQ(batches.size(), 35u);
  EXPECT_EQ(batches[kLeftOut - 1], kLeftOut - 1);
  EXPECT_EQ(batches[kLeftOut], kLeftOut + 1);
  EXPECT_EQ(batches[31], 38);
  EXPECT_EQ(std::vector<int64_t>(batches.begin() + 32, batches.end()), (std::vector<int64_t>{40, 41, 42}));
  EXPECT_EQ(compared(3, 1), (std::vector<int64_t>{0, 1, 2}));
}

TEST(ComparedBatches, GiveTheLossesBeforeAndAfter) {
  QuantizationSimModel sim = seed_sim();
  std::vector<Inputs> batches = seed_batches(43);
  batches[kLeftOut][0] = batches[kLeftOut][0].toTensor().mul(100);  // would move a mean that has it
  const AdaScaleOptions options{.recipe = "rtn", .held_out_batches = 3};
  // Nothing is trained: the weights tried on some batches are those that then run all.
  for (const BlockReport& block : apply_adascale(sim, batches, options).blocks) {
    EXPECT_EQ(block.loss_before, block.loss_after) << block.name;
    EXPECT_EQ(block.held_out_before, block.held_out_after) << block.name;
  }
}

TEST(ComparedBatches, OutputsThatAreNotFiniteAreRefusedWhereverTheyAre) {
  for (const int64_t batch : {0, kLeftOut})
    for (const char* recipe : {"rtn", "clip", "fast"}) {
      SCOPED_TRACE(fmt::format("batch {}, {}", batch, recipe));
      QuantizationSimModel sim = seed_sim();
      AdaScaleOptions options{.recipe = recipe};
      if (recipe_named(recipe).trains()) options.num_iterations = 2;
      const std::string text =
          error_of([&] { apply_adascale(sim, batches_with_an_overflow(batch), options); });
      EXPECT_NE(text.find(": its output is not finite before training; mend the"), std::string::npos) << text;
    }
}

TEST(ComparedBatches, HeldOutOnesWeighNoMoreThanTheirShare) {
  QuantizationSimModel sim = seed_sim(8);
  const AdaScaleOptions options{.num_iterations = 40, .held_out_batches = 8, .lr_scale = 20};
  for (const BlockReport& block : apply_adascale(sim, seed_batches(72), options).blocks) {
    const double before = (64 * block.loss_before + 8 * *block.held_out_before) / 72;
    const double after = (64 * block.loss_after + 8 * *block.held_out_after) / 72;
    EXPECT_EQ(block.kept, after <= before) << block.name;
  }
}

}  // namespace
}  // namespace adascale
