#include "adascale/tune/team.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "error_text.h"

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

/// Gives the first process's items to the other one, but for one of them.
class WithAStranger : public Team {
 public:
  explicit WithAStranger(int64_t different) : Team(0, 2), different_(different) {}
  void add(const std::vector<at::Tensor>& tensors) override {
    auto* items = tensors.front().mutable_data_ptr<double>();
    for (int64_t i = 0; i + 1 < tensors.front().numel(); i += 2) items[i + 1] = items[i];
    if (different_ >= 0) items[2 * different_ + 1] += 1;
  }

 private:
  int64_t different_;
};

TEST(Team, ProcessesThatDifferAreRefusedByTheFact) {
  const std::map<std::string, std::string> facts{{"data", "d"}, {"model", "m"}, {"seed", "0"}};
  WithAStranger(-1).check_same(facts);
  EXPECT_EQ(
      testing::error_of([&] { WithAStranger(1).check_same(facts); }),
      "the 2 processes differ in: model; give all the same model, all of the data and the same options, on "
      "like machines");
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
