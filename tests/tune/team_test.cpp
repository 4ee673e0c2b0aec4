#include "adascale/tune/team.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace adascale {
namespace {

/// The other process has the same tensors.
class WithATwin : public Team {
 public:
  explicit WithATwin(int64_t rank) : Team(rank, 2) {}
  void add(const std::vector<at::Tensor>& tensors) override {
    for (const at::Tensor& tensor : tensors) tensor.mul_(2);
    ++calls;
  }
  int calls = 0;
};

TEST(Team, EachTakesItsRankAndEachSizethFromThere) {
  const std::vector<int> all{0, 1, 2, 3, 4, 5};
  EXPECT_EQ(WithATwin(0).share_of(all), (std::vector<int>{0, 2, 4}));
  EXPECT_EQ(WithATwin(1).share_of(all), (std::vector<int>{1, 3, 5}));
  EXPECT_EQ(present_team()->share_of(all), all);
}

TEST(Team, JoinPutsNumbersWhereTheyWere) {
  WithATwin second(1);
  EXPECT_EQ(second.join({1, 2}), (std::vector<double>{0, 2, 0, 4})) << "doubled by this twin's add";
  EXPECT_EQ(present_team()->join({1, 2}), (std::vector<double>{1, 2}));
  EXPECT_EQ(second.calls, 1);
}

TEST(Team, OneProcessAddsNothing) {
  const at::Tensor x = at::ones({3});
  present_team()->add({x});
  present_team()->wait();
  EXPECT_TRUE(x.equal(at::ones({3})));
  EXPECT_TRUE(present_team()->leads());
}

TEST(Team, TheProcesssTeamCanBeSetAndUnset) {
  set_team(std::make_shared<WithATwin>(1));
  EXPECT_FALSE(present_team()->leads());
  set_team(nullptr);
  EXPECT_EQ(present_team()->size(), 1);
}

}  // namespace
}  // namespace adascale
