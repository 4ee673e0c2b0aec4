#include "adascale/core/spelling.h"

#include <gtest/gtest.h>

#include <map>

namespace adascale {
namespace {

const std::map<Spelling, std::vector<std::string>> kExpected = {
    {Spelling::kFlag,
     {"--param-bw", "--seq-len", "--format", "--param-bw 4", "--packing padded", "--format hf",
      "--no-symmetric", "--symmetric"}},
    {Spelling::kKeyword,
     {"param_bw", "seq_len", "formats", "param_bw=4", "packing='padded'", "formats=['hf']", "symmetric=False",
      "symmetric=True"}},
    {Spelling::kField,
     {"default_param_bw", "seq_len", "formats", "default_param_bw = 4", "packing = \"padded\"",
      "formats = {\"hf\"}", "symmetric = false", "symmetric = true"}},
    {Spelling::kJsonKey,
     {"\"param_bw\"", "\"seq_len\"", "\"formats\"", "\"param_bw\": 4", "\"packing\": \"padded\"",
      "\"formats\": [\"hf\"]", "\"symmetric\": false", "\"symmetric\": true"}},
};

std::vector<std::string> spelled() {
  return {option("param_bw"),         option("seq_len"),           option("formats"),
          option("param_bw", 4),      option("packing", "padded"), option("formats", "hf"),
          option("symmetric", false), option("symmetric", true)};
}

TEST(Spelling, OptionsAreWrittenAsTheirCallerDoes) {
  for (const auto& [spelling, expected] : kExpected) {
    const SpellingScope scope(spelling);
    EXPECT_EQ(spelled(), expected);
  }
}

TEST(Spelling, EndsWithItsScopeAndHasADefault) {
  EXPECT_EQ(spelled(), kExpected.at(Spelling::kField));
  {
    const SpellingScope outer(Spelling::kFlag);
    { const SpellingScope inner(Spelling::kJsonKey); }
    EXPECT_EQ(spelled(), kExpected.at(Spelling::kFlag));
  }
  set_default_spelling(Spelling::kKeyword);
  EXPECT_EQ(spelled(), kExpected.at(Spelling::kKeyword));
  set_default_spelling(Spelling::kField);
}

TEST(Spelling, FlagIsTheNameInKebabCase) {
  EXPECT_EQ(flag_of("param_bw"), "--param-bw");
  EXPECT_EQ(flag_of("held_out_batches"), "--held-out-batches");
  EXPECT_EQ(flag_of("seed"), "--seed");
}

}  // namespace
}  // namespace adascale
