#include "adascale/core/options.h"

#include <gtest/gtest.h>

#include <functional>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/seed.h"

namespace adascale {
namespace {

std::string rejection(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Options, RangesAreInclusive) {
  const OptionRule rule{.min = 2, .max = 32};
  EXPECT_EQ(rejection([&] { check_rule("param_bw", 2, rule); }), "accepted");
  EXPECT_EQ(rejection([&] { check_rule("param_bw", 32, rule); }), "accepted");
  EXPECT_EQ(rejection([&] { check_rule("param_bw", 33, rule); }),
            "default_param_bw: got 33, expected 2 to 32");
}

TEST(Options, OneValueBeyondTheRangeMayMeanOff) {
  const OptionRule rule{.min = 2, .max = 16, .off = 32};
  EXPECT_EQ(rejection([&] { check_rule("param_bw", 32, rule); }), "accepted");
  EXPECT_EQ(rejection([&] { check_rule("param_bw", 17, rule); }),
            "default_param_bw: got 17, expected 2 to 16, or 32 for off");
}

TEST(Options, ChoicesAreListedWhenMissed) {
  const OptionRule rule{.choices = {"aimet", "other"}};
  EXPECT_EQ(rejection([&] { check_rule("recipe", std::string("aimet"), rule); }), "accepted");
  EXPECT_EQ(rejection([&] { check_rule("recipe", std::string("fast"), rule); }),
            "recipe: got 'fast', expected one of aimet, other");
}

TEST(Glob, StarCrossesDots) {
  EXPECT_TRUE(glob_match("encoder.*", "encoder.layer.0.fc1"));
  EXPECT_TRUE(glob_match("*", "anything"));
  EXPECT_TRUE(glob_match("layer.?", "layer.3"));
  EXPECT_TRUE(glob_match("layer.[0-2]", "layer.1"));
  EXPECT_FALSE(glob_match("layer.[0-2]", "layer.3"));
  EXPECT_FALSE(glob_match("encoder", "encoder.layer"));
  EXPECT_FALSE(glob_match("", "encoder"));
}

TEST(Glob, OfATextMatchesItAlone) {
  for (const std::string text : {"Linear", "encoder.layer[0].fc*", "a?b", "[x]"}) {
    EXPECT_TRUE(glob_match(glob_of(text), text)) << glob_of(text);
    EXPECT_FALSE(glob_match(glob_of(text), text + "x")) << glob_of(text);
    EXPECT_NE(glob_of(text), text);
  }
  EXPECT_FALSE(glob_match(glob_of("a?b"), "acb"));
}

TEST(Seed, PartsAreIndependentAndRepeatable) {
  EXPECT_EQ(derive_seed(7, 3), derive_seed(7, 3));
  EXPECT_NE(derive_seed(7, 3), derive_seed(7, 4));
  EXPECT_NE(derive_seed(7, 3), derive_seed(8, 3));
}

}  // namespace
}  // namespace adascale
