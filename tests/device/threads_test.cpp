#include "adascale/device/threads.h"

#include <gtest/gtest.h>

namespace adascale {
namespace {

TEST(Threads, MoreThanTheQuotaAreNoted) {
  const std::vector<std::string> notes = notes_on_threads(64, 4, false);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0], "64 threads share a CPU quota of 4, which slows all of them down; use 4");
}

TEST(Threads, SpinningOnesAreNotedUnlessThereIsOneAlone) {
  ASSERT_EQ(notes_on_threads(2, std::nullopt, true).size(), 1U);
  EXPECT_NE(notes_on_threads(2, 2, true)[0].find("start Python with OMP_WAIT_POLICY=PASSIVE"),
            std::string::npos);
  EXPECT_TRUE(notes_on_threads(1, 1, true).empty());
  EXPECT_TRUE(notes_on_threads(2, 2, false).empty());
}

}  // namespace
}  // namespace adascale
