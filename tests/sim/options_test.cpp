#include "adascale/sim/options.h"

#include <filesystem>
#include <fstream>

#include "adascale/quant/range_analyzer.h"
#include "error_text.h"

namespace adascale {
namespace {

using testing::error_of;

std::string layer_config_error(const std::string& text) {
  return error_of([&] { parse_layer_config(text); });
}

TEST(QuantScheme, NamesParseAndPrintBack) {
  for (const QuantScheme scheme :
       {QuantScheme::post_training_tf, QuantScheme::post_training_tf_enhanced,
        QuantScheme::post_training_percentile, QuantScheme::training_range_learning_with_tf_init,
        QuantScheme::training_range_learning_with_tf_enhanced_init}) {
    EXPECT_EQ(quant_scheme_from(to_string(scheme)), scheme);
    EXPECT_EQ(range_scheme(to_string(scheme)).name, to_string(scheme)) << "each has its range analyzer";
  }
  EXPECT_EQ(to_string(QuantScheme::training_range_learning_with_tf_init),
            "training_range_learning_with_tf_init");
}

TEST(QuantScheme, UnknownNamesAreRefusedWithTheList) {
  EXPECT_EQ(
      error_of([] { quant_scheme_from("post_trainig_tf"); }),
      "quant_scheme: got 'post_trainig_tf', expected one of post_training_tf, post_training_tf_enhanced, "
      "post_training_percentile, training_range_learning_with_tf_init, "
      "training_range_learning_with_tf_enhanced_init; did you mean post_training_tf?");
}

TEST(LayerConfig, KeepsTheWrittenOrder) {
  const LayerConfig config = parse_layer_config(R"({
    "z.*": {"param_bw": 8, "group_size": 32}, "a.*": {"symmetric": false, "per_channel": false},
    "Embedding": {"param_bw": 32, "output_bw": 16}})");
  ASSERT_EQ(config.size(), 3u);
  EXPECT_EQ(config[0].first, "z.*");
  EXPECT_EQ(config[0].second.param_bw, 8);
  EXPECT_EQ(config[0].second.group_size, 32);
  EXPECT_FALSE(config[0].second.symmetric || config[0].second.per_channel || config[0].second.output_bw);
  EXPECT_EQ(config[1].first, "a.*");
  EXPECT_EQ(config[1].second.symmetric, false);
  EXPECT_EQ(config[1].second.per_channel, false);
  EXPECT_EQ(config[2].second.param_bw, kOffBits);
  EXPECT_EQ(config[2].second.output_bw, 16);
  EXPECT_TRUE(parse_layer_config("{}").empty());
}

TEST(LayerConfig, BitsOutOfRangeAreRefused) {
  EXPECT_EQ(layer_config_error(R"({"fc": {"param_bw": 1}})"),
            "layer_config: fc.param_bw: got 1, expected 2 to 16, or 32 for off");
  EXPECT_EQ(layer_config_error(R"({"fc": {"output_bw": 3}})"),
            "layer_config: fc.output_bw: got 3, expected 4 to 16, or 32 for off");
  EXPECT_EQ(layer_config_error(R"({"fc": {"group_size": -1}})"),
            "layer_config: fc.group_size: got -1, expected 0 (one scale per channel) or more");
  for (const char* bits : {"17", "31", "33", "0", "-4"})
    EXPECT_NE(layer_config_error(std::string(R"({"fc": {"param_bw": )") + bits + "}}").find(bits),
              std::string::npos);
  for (const char* bits : {"2", "16", "32"})
    EXPECT_EQ(layer_config_error(std::string(R"({"fc": {"param_bw": )") + bits + "}}"), "no error");
}

TEST(LayerConfig, WrongTypesAreRefused) {
  EXPECT_EQ(layer_config_error(R"({"fc": {"param_bw": "8"}})"),
            "layer_config: fc.param_bw: got \"8\", expected an integer");
  EXPECT_EQ(layer_config_error(R"({"fc": {"param_bw": 8.5}})"),
            "layer_config: fc.param_bw: got 8.5, expected an integer");
  EXPECT_EQ(layer_config_error(R"({"fc": {"param_bw": 18446744073709551614}})"),
            "layer_config: fc.param_bw: got 18446744073709551614, expected an integer");
  EXPECT_EQ(layer_config_error(R"({"fc": {"symmetric": "True"}})"),
            "layer_config: fc.symmetric: got \"True\", expected true or false");
  EXPECT_EQ(layer_config_error(R"({"fc": 8})"), "layer_config: fc: got 8, expected an object");
  EXPECT_EQ(layer_config_error("[]"), "layer_config: got [], expected an object");
}

TEST(LayerConfig, UnknownKeysAreRefused) {
  EXPECT_EQ(layer_config_error(R"({"encoder.*": {"param_bits": 8}})"),
            "layer_config: encoder.*: unknown key 'param_bits', expected decompressed_bw, grid, group_size, "
            "input_bw, "
            "input_symmetric, output_bw, output_symmetric, param_bw, per_channel, symmetric, trained; "
            "did you mean param_bw?");
}

TEST(LayerConfig, EntriesThatWouldDoNothingAreRefused) {
  EXPECT_EQ(layer_config_error(R"({"fc": {}})"),
            "layer_config: fc: no settings, so it would change nothing; set param_bw, say, or take it out");
  EXPECT_NE(layer_config_error(R"({"": {"param_bw": 8}})").find("an empty pattern"), std::string::npos);
  EXPECT_EQ(layer_config_error(R"({"fc": {"param_bw": 8}, "fc": {"param_bw": 4}})"),
            "layer_config: key 'fc' stands twice in one object; keep one");
}

TEST(LayerConfig, FilesAreReadAndNamed) {
  const std::string path = (std::filesystem::path(ADASCALE_TEST_SCRATCH) / "layer_config_test.json").string();
  std::ofstream(path) << R"({"fc": {"param_bw": 8}})";
  EXPECT_EQ(read_layer_config(path).front().second.param_bw, 8);
  std::ofstream(path) << "{";
  EXPECT_NE(error_of([&] { read_layer_config(path); }).find(path + ": not valid JSON"), std::string::npos);
  std::filesystem::remove(path);
  EXPECT_EQ(error_of([&] { read_layer_config(path); }),
            path + ": no such file; expected layer settings in JSON");
}

}  // namespace
}  // namespace adascale
