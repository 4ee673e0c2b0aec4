#include "adascale/tune/module_runs.h"

#include <gtest/gtest.h>

#include "error_text.h"

namespace adascale {
namespace {

using testing::error_of;
using Paths = std::vector<std::string>;

Paths picked(const std::vector<RecordedCall>& calls, const std::vector<std::string>& patterns = {}) {
  Paths paths;
  for (const size_t i : pick_modules(calls, patterns)) paths.push_back(calls[i].path);
  return paths;
}

TEST(PickModules, TakesRunsOfOneClass) {
  EXPECT_EQ(picked({{"stem", "Conv", 1}, {"l.0", "Layer", 2}, {"l.1", "Layer", 2}, {"head", "Mlp", 2}}),
            (Paths{"l.0", "l.1"}));
  EXPECT_EQ(picked({{"l.0", "Layer", 2}, {"l.1", "Other", 2}, {"l.2", "Layer", 2}}), Paths{});
  EXPECT_EQ(picked({{"a.0", "Layer", 2}, {"b.0", "Layer", 2}}), Paths{}) << "of two parents";
}

TEST(PickModules, TakesLayersOutOfStagesThatHoldRunsAsLong) {
  const std::vector<RecordedCall> stages = {{"s.0", "Stage", 4},   {"s.0.0", "Layer", 2},
                                            {"s.0.1", "Layer", 2}, {"s.1", "Stage", 4},
                                            {"s.1.0", "Layer", 2}, {"s.1.1", "Layer", 2}};
  EXPECT_EQ(picked(stages), (Paths{"s.0.0", "s.0.1", "s.1.0", "s.1.1"}));
  const std::vector<RecordedCall> long_one = {{"s.0", "Stage", 4},
                                              {"s.0.0", "Layer", 2},
                                              {"s.0.1", "Layer", 2},
                                              {"s.1", "Stage", 4},
                                              {"s.2", "Stage", 4}};
  EXPECT_EQ(picked(long_one), (Paths{"s.0", "s.1", "s.2"})) << "a run of three holds one of two";
}

TEST(PickModules, TakesTheOutermostOfThoseNamed) {
  const std::vector<RecordedCall> calls = {
      {"l.0", "A", 4}, {"l.0.m", "B", 2}, {"l.1", "C", 2}, {"x", "C", 1}};
  EXPECT_EQ(picked(calls, {"l.*"}), (Paths{"l.0", "l.1"}));
  EXPECT_EQ(picked(calls, {"l.1", "*.m"}), (Paths{"l.0.m", "l.1"}));
  EXPECT_EQ(error_of([&] { picked(calls, {"x"}); }),
            "blocks: 'x' matches no module with two layers that ran; these did: l.0, l.0.m, l.1");
}

}  // namespace
}  // namespace adascale
