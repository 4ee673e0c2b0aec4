#include "adascale/tune/run_progress.h"

#include <gtest/gtest.h>

#include <vector>

namespace adascale {
namespace {

/// Runs whose passes take known times.
struct RunProgressTest : ::testing::Test {
  double time = 0;
  ProgressEvent last;
  RunProgress progress{[this](const ProgressEvent& event) { last = event; }, [this] { return time; }};

  void pass(const std::string& name, int64_t total, double seconds_of_a_step) {
    progress.see({name, 0, total, std::nullopt});
    for (int64_t step = 1; step <= total; ++step) {
      time += seconds_of_a_step;
      progress.see({name, step, total, name == kTraining ? std::optional(0.5) : std::nullopt});
    }
  }

  /// 2 + 4 x 1 + 3 x 10 = 36 seconds.
  void block() {
    pass(kFloatOutputs, 2, 1);
    pass(kQuantizedOutputs, 4, 1);
    pass(kTraining, 3, 10);
  }
};

TEST_F(RunProgressTest, SaysNothingOfTheTimeLeftBeforeEachKindOfPassWasTimed) {
  progress.begin(0, 3, "fc", 2);
  progress.expect({{kFloatOutputs, 2}, {kQuantizedOutputs, 4}, {kTraining, 3}});
  pass(kFloatOutputs, 2, 1);
  pass(kQuantizedOutputs, 4, 1);
  EXPECT_FALSE(last.seconds_left);
  progress.see({kTraining, 0, 3, std::nullopt});
  time += 10;
  progress.see({kTraining, 1, 3, 0.5});
  EXPECT_EQ(last.seconds_left, 20 + 2 * 36);
}

TEST_F(RunProgressTest, CountsTheRestOfThisBlockAndAllLaterOnes) {
  progress.begin(0, 3, "fc", 2);
  progress.expect({{kTraining, 1000}});  // far off: a finished block tells more
  block();
  progress.end(true);
  EXPECT_EQ(last.seconds_left, 2 * 36);
  EXPECT_TRUE(last.ends_stage);
  progress.begin(1, 3, "fc", 1);
  pass(kFloatOutputs, 2, 1);
  EXPECT_EQ(last.seconds_left, 34 + 36);
  pass(kQuantizedOutputs, 4, 1);
  pass(kTraining, 3, 10);
  progress.end(true);
  progress.begin(2, 3, "fc", 0);
  block();
  progress.end(true);
  EXPECT_EQ(last.seconds_left, 0);
}

TEST_F(RunProgressTest, ABlockFinishedBeforeTellsNothingOfThoseToCome) {
  progress.begin(0, 2, "fc", 1);
  progress.expect({{kFloatOutputs, 2}, {kQuantizedOutputs, 4}, {kTraining, 3}});
  pass(kFloatOutputs, 2, 1);
  progress.end(false);
  EXPECT_FALSE(last.seconds_left);
}

TEST_F(RunProgressTest, TheLastLineOfABlockHasItsIterationsAndLoss) {
  progress.begin(0, 1, "fc", 0);
  progress.expect({{kTraining, 3}});
  pass(kTraining, 3, 1);
  pass(kQuantizedOutputs, 4, 1);
  EXPECT_EQ(last.stage, "block 1/1 fc");
  EXPECT_EQ(last.pass, kQuantizedOutputs);
  progress.end(true);
  EXPECT_EQ(last.pass, "");
  EXPECT_EQ(last.step, 3);
  EXPECT_EQ(last.total, 3);
  EXPECT_EQ(last.loss, 0.5);
}

TEST_F(RunProgressTest, AnotherAttemptCountsUntilItsEnd) {
  progress.begin(0, 1, "fc", 0);
  progress.expect({{kTraining, 3}});
  pass(kTraining, 3, 10);
  EXPECT_EQ(last.seconds_left, 0);
  progress.see({"training, 0.25 of the step", 0, 3, std::nullopt});
  EXPECT_EQ(last.seconds_left, 30);
}

TEST_F(RunProgressTest, BlocksWithNothingToTrainAreNotWaitedFor) {
  progress.begin(0, 3, "fc", /*to_come=*/0);
  progress.expect({{kFloatOutputs, 2}, {kQuantizedOutputs, 4}, {kTraining, 3}});
  block();
  progress.end(true);
  EXPECT_EQ(last.seconds_left, 0);
}

TEST_F(RunProgressTest, ShorterStepsAreTrainingToo) {
  progress.begin(0, 2, "fc", 1);
  progress.expect({{kTraining, 3}});
  pass("training, 0.25 of the step", 3, 10);
  EXPECT_EQ(last.seconds_left, 30);
}

}  // namespace
}  // namespace adascale
