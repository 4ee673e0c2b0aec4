#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "adascale/tune/adascale.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::seed_batches;
using testing::seed_sim;

PartInputs same_in_both(const std::vector<Inputs>& batches) {
  return {batches, batches};
}

TEST(PartedTraining, APartWithTheSameInputsIsTrainedLikeItsBlock) {
  const AdaScaleOptions options{.num_iterations = 8, .blocks = {"linear_blocks.0"}, .recipe = "aimet"};
  QuantizationSimModel whole = seed_sim(), alone = seed_sim();
  const auto expected = apply_adascale(whole, seed_batches(2), options);
  const PartedModel model{.parts = {{alone, "linear_blocks.0"}}, .refusal = "", .not_captured = {{"a", "b"}}};
  const auto report = apply_adascale(
      model, {seed_batches(2)}, [](size_t, ActivationStore&) { return same_in_both(seed_batches(2)); },
      options);
  ASSERT_EQ(report.blocks.size(), 1u);
  EXPECT_EQ(report.blocks[0].loss_after, expected.blocks[0].loss_after);
  EXPECT_EQ(report.not_trained.back(), "a: b");
  EXPECT_EQ(alone.training(), whole.training());
  EXPECT_EQ(alone.training().at("recipe"), "aimet");
  for (size_t i = 0; i < whole.weights().size(); ++i)
    EXPECT_TRUE(alone.weight_encoding(i).codes.equal(whole.weight_encoding(i).codes)) << i;
}

TEST(PartedTraining, PartsAreReachedInOrderAndTakeTheirInputsFromElsewhere) {
  const auto train = [](const std::vector<Inputs>& quant_batches, std::vector<size_t>& reached) {
    QuantizationSimModel a = seed_sim(), b = seed_sim();
    const PartedModel model{.parts = {{a, "linear_blocks.0"}, {b, "linear_blocks.1"}}};
    const auto catch_inputs = [&](size_t part, ActivationStore&) {
      reached.push_back(part);
      return PartInputs{seed_batches(2), quant_batches};
    };
    return apply_adascale(model, {seed_batches(2), seed_batches(2)}, catch_inputs,
                          AdaScaleOptions{.recipe = "rtn"});
  };
  std::vector<size_t> reached;
  std::vector<Inputs> noisy = seed_batches(2);
  for (Inputs& batch : noisy) batch[0] = batch[0].toTensor().add(0.5);
  const auto same = train(seed_batches(2), reached), other = train(noisy, reached);
  EXPECT_EQ(reached, (std::vector<size_t>{0, 1, 0, 1}));
  ASSERT_EQ(same.blocks.size(), 2u);
  EXPECT_EQ(same.blocks[1].name, "linear_blocks.1");
  EXPECT_GT(other.blocks[0].loss_before, 2 * same.blocks[0].loss_before);
  EXPECT_EQ(error_of([&] { train(seed_batches(1), reached); }),
            "linear_blocks.0: got 2 batches of the FP model and 1 of the quantized one, expected as many");
}

TEST(PartedTraining, PartsAreCheckedAllAtOnceBySizesAlone) {
  QuantizationSimModel a = seed_sim(), b = seed_sim();
  const PartedModel model{.parts = {{a, "linear_blocks.0"}, {b, "linear_blocks.1"}}};
  const auto never = [](size_t, ActivationStore&) -> PartInputs { throw std::logic_error("reached"); };
  const Inputs fits = {at::empty({3, 3, 32, 64}, at::kMeta)}, wrong = {at::empty({3, 3, 32, 65}, at::kMeta)};
  const auto error = error_of([&] {
    apply_adascale(model, {{fits}, {fits, wrong}}, never,
                   AdaScaleOptions{.train_outside = true, .held_out_batches = 1, .lr_scale = 0});
  });
  for (const char* text :
       {"train_outside = true, but of a model simulated block by block", "lr_scale: got 0",
        "linear_blocks.0: held_out_batches: got 1 of the 1 batches that reach it, expected 0 to 0",
        "linear_blocks.1: batch 1 of those that reach it: input"})
    EXPECT_NE(error.find(text), std::string::npos) << error;
}

TEST(PartedTraining, APartThatNothingReachesOnceQuantizedIsNotTrained) {
  QuantizationSimModel a = seed_sim(), b = seed_sim();
  const PartedModel model{.parts = {{a, "linear_blocks.0"}, {b, "linear_blocks.1"}}};
  const auto catch_inputs = [](size_t part, ActivationStore&) {
    return part == 0 ? PartInputs{} : same_in_both(seed_batches(1));
  };
  const auto report = apply_adascale(model, {seed_batches(2), seed_batches(2)}, catch_inputs,
                                     AdaScaleOptions{.num_iterations = 1, .held_out_batches = 1});
  EXPECT_TRUE(report.blocks.empty());
  const auto& lines = report.not_trained;
  for (const char* line :
       {"linear_blocks.0: no batch reaches it once quantized, round-to-nearest",
        "linear_blocks.1: all 1 batches that reach it are held out once quantized, round-to-nearest"})
    EXPECT_NE(std::find(lines.begin(), lines.end(), line), lines.end()) << line;
}

}  // namespace
}  // namespace adascale
