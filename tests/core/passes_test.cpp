#include "adascale/core/passes.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "adascale/core/interrupt.h"

namespace adascale {
namespace {

struct Seen {
  std::vector<std::string> lines;
  PassSink sink() {
    return [this](const PassEvent& pass) {
      lines.push_back(pass.name + " " + std::to_string(pass.step) + "/" + std::to_string(pass.total));
    };
  }
};

TEST(Passes, AreToldAtTheirBeginAndAfterEachStep) {
  Seen seen;
  const WatchPasses watch(seen.sink());
  Pass pass("batches", 2);
  pass.step();
  pass.step();
  EXPECT_EQ(seen.lines, (std::vector<std::string>{"batches 0/2", "batches 1/2", "batches 2/2"}));
}

TEST(Passes, TheInnermostWatcherSeesThemWhileItLives) {
  Seen outer, inner;
  const WatchPasses watch(outer.sink());
  {
    const WatchPasses within(inner.sink());
    Pass("a", 1);
  }
  Pass("b", 1);
  EXPECT_EQ(inner.lines, std::vector<std::string>{"a 0/1"});
  EXPECT_EQ(outer.lines, std::vector<std::string>{"b 0/1"});
}

TEST(Passes, EachStepMayBeInterrupted) {
  Pass pass("a", 1);
  set_interrupt_check([] { throw std::runtime_error("stopped"); });
  EXPECT_THROW(pass.step(), std::runtime_error);
  set_interrupt_check({});
  pass.step();
}

TEST(Passes, AsStagesTheyEnd) {
  std::vector<bool> ends, passing;
  const ProgressSink sink = [&](const ProgressEvent& event) {
    ends.push_back(event.ends_stage);
    passing.push_back(event.is_passing);
    EXPECT_EQ(event.seconds_left.has_value(), event.step > 0);
  };
  for (const bool is_passing : {false, true}) {
    const WatchPasses watch(as_stages(sink, is_passing));
    Pass("a", 1).step();
  }
  EXPECT_EQ(ends, (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(passing, (std::vector<bool>{false, false, true, true}));
}

}  // namespace
}  // namespace adascale
