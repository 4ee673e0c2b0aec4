#include "adascale/device/threads.h"

#include <gtest/gtest.h>

namespace adascale {
namespace {

TEST(Threads, MoreThanTheQuotaAreNoted) {
  const std::vector<std::string> notes = notes_on_threads(64, 4, false);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0],
            "torch has 64 threads, but this container's CPU quota is 4; torch.set_num_threads(4) is faster");
}

TEST(Threads, SpinningOnesAreNotedUnlessThereIsOneAlone) {
  ASSERT_EQ(notes_on_threads(2, std::nullopt, true).size(), 1U);
  EXPECT_NE(notes_on_threads(2, 2, true)[0].find("set OMP_WAIT_POLICY=PASSIVE"), std::string::npos);
  EXPECT_TRUE(notes_on_threads(1, 1, true).empty());
  EXPECT_TRUE(notes_on_threads(2, 2, false).empty());
}

}  // namespace
}  // namespace adascale
