#include "adascale/core/progress.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace adascale {
namespace {

TEST(Log, GoesToTheSinkThatWasSet) {
  std::vector<std::string> lines;
  set_log_sink([&](const std::string& line) { lines.push_back(line); });
  log_line("a note");
  set_log_sink({});
  log_line("into the void");
  EXPECT_EQ(lines, std::vector<std::string>{"a note"});
}

TEST(StderrProgress, PrintsPlainLinesAwayFromATerminal) {
  ::testing::internal::CaptureStderr();
  const ProgressSink sink = stderr_progress();
  sink({.stage = "block 1/2 fc", .pass = "training", .step = 0, .total = 4});
  sink({.stage = "block 1/2 fc", .pass = "training", .step = 2, .total = 4, .loss = 0.5});
  sink({.stage = "block 1/2 fc", .step = 4, .total = 4, .loss = 0.25, .seconds_left = 7, .ends_stage = true});
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text, "block 1/2 fc  4/4  loss 0.25  0 s, 7 s left\n");
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find("2/4"), std::string::npos) << "lines come every ten seconds, and at the end";
}

}  // namespace
}  // namespace adascale
