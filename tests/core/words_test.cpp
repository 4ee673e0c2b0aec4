#include "adascale/core/words.h"

#include <gtest/gtest.h>

namespace adascale {
namespace {

using Names = std::vector<std::string>;

TEST(Words, ACountHasItsNoun) {
  EXPECT_EQ(plural(0, "layer"), "0 layers");
  EXPECT_EQ(plural(1, "block"), "1 block");
  EXPECT_EQ(plural(999, "block"), "999 blocks");
  EXPECT_EQ(plural(1234567, "iteration"), "1,234,567 iterations");
}

TEST(Words, NearNamesDifferInFewLettersOrBeginAlike) {
  const Names recipes = {"aimet", "best", "clip", "fast", "rtn"};
  EXPECT_EQ(near_names("FAS", recipes), (Names{"fast"}));
  EXPECT_EQ(near_names("bent", recipes), (Names{"best"}));
  EXPECT_EQ(near_names("encodings_", {"encodings", "onnx"}), (Names{"encodings"}));
  EXPECT_EQ(near_names("gguf:Q4", {"gguf", "hf"}), (Names{"gguf"}));
  EXPECT_EQ(near_names("something else", recipes), Names{});
}

TEST(Words, TheNearestComesFirstAndAtMostThree) {
  EXPECT_EQ(near_names("aa", {"ab", "aa", "ac", "ad", "aa"}), (Names{"aa", "ab", "ac"}));
  EXPECT_EQ(near_names(std::string(201, 'a'), {std::string(201, 'a')}), Names{});
}

TEST(Words, AMessageEndsWithThem) {
  EXPECT_EQ(did_you_mean("fest", {"fast", "rtn"}), "; did you mean fast?");
  EXPECT_EQ(did_you_mean("ab", {"aa", "ac"}), "; did you mean aa or ac?");
  EXPECT_EQ(did_you_mean("xyz", {"fast"}), "");
}

}  // namespace
}  // namespace adascale
