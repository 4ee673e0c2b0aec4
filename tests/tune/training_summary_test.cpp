#include "adascale/tune/training_summary.h"

#include <gtest/gtest.h>

#include <cmath>

namespace adascale {
namespace {

BlockReport block(double before, double after, bool kept = true, bool diverged = false) {
  return {.name = "b",
          .layers = {{.name = "l", .sqnr_db = 10 * before}},
          .loss_before = before,
          .loss_after = after,
          .kept = kept,
          .diverged = diverged};
}

std::string verdict_of(std::vector<BlockReport> blocks) {
  AdaScaleReport report;
  report.blocks = std::move(blocks);
  return verdict(summarize(report));
}

TEST(TrainingSummary, TheVerdictCountsEveryOutcome) {
  const std::string closer = " came out closer to the full-precision model than round-to-nearest";
  EXPECT_EQ(verdict_of({}), "No block was trained.");
  EXPECT_EQ(verdict_of({{.name = "no layers"}}), "No block was trained.");
  EXPECT_EQ(verdict_of({block(1, 1)}), "Nothing was learned: 1 block is rounded to nearest.");
  EXPECT_EQ(verdict_of({block(1, 1), block(2, 2)}), "Nothing was learned: 2 blocks are rounded to nearest.");
  EXPECT_EQ(verdict_of({block(1, 0.5)}), "The block" + closer + ".");
  EXPECT_EQ(verdict_of({block(1, 0.5), block(1, 0.9)}), "All 2 blocks" + closer + ".");
  EXPECT_EQ(
      verdict_of({block(1, 0.5), block(1, 2), block(1, 3, false), block(1, NAN, false, true), block(1, 1)}),
      "1 of 5 blocks" + closer +
          "; 1 stayed as before training; 1 diverged and stayed as before training; 1 came out worse.");
  EXPECT_EQ(verdict_of({block(1, 0.5, false, true)}),  // on a batch that is not among those compared
            "0 of 1 block" + closer + "; 1 diverged and stayed as before training.");
}

TEST(TrainingSummary, AChangeIsOfWhatIsKept) {
  AdaScaleReport report;
  report.blocks = {block(1, 0.4), block(1, 5, false), block(2, 1), block(0, 0)};
  report.blocks[0].held_out_before = 1, report.blocks[0].held_out_after = 0.75;
  const TrainingSummary summary = summarize(report);
  EXPECT_DOUBLE_EQ(*summary.change, -0.5);  // of -0.6, 0, -0.5; the last has none
  EXPECT_DOUBLE_EQ(*summary.held_out_change, -0.25);
  EXPECT_EQ(summary.noisiest, &report.blocks[3].layers[0]);
  EXPECT_FALSE(summary.is_good());
}

TEST(TrainingSummary, InWords) {
  EXPECT_EQ(describe_change(-0.424), "42 % less");
  EXPECT_EQ(describe_change(0.03), "3 % more");
  EXPECT_EQ(describe_change(0), "no change");
}

}  // namespace
}  // namespace adascale
