#include <nlohmann/json.hpp>

#include "command_case.h"

namespace adascale::testing {
namespace {

class Inspect : public CommandTest {};

TEST_F(Inspect, ShowsBlocksLayersAndWhatIsLeft) {
  const Ran ran = run_command({"inspect", model_file("blocks"), "--param-bw", "3"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const char* text :
       {"2 blocks, 4 layers to quantize", "* blocks.0", "blocks.1.fc2", "32x16", "int3 symmetric per channel",
        "head (Linear): outside every block", "x  Float [", "size"})
    EXPECT_HAS(ran.out, text);
  EXPECT_TRUE(ran.err.empty()) << ran.err;
}

TEST_F(Inspect, CountsBytesBeforeAndAfter) {
  const Ran ran = run_command({"inspect", model_file("blocks")});
  // 2 blocks of 2 x 512 weights and 48 biases, a head of 80 + 5; 4 bits and a float scale per row.
  const int64_t layers = 2 * 2 * 512 * 4, rest = (2 * 48 + 85) * 4, packed = 2 * (2 * 512 / 2 + 48 * 4);
  ASSERT_EQ(layers, 8192);
  EXPECT_HAS(
      ran.out,
      fmt::format(
          "{:.1f} kB -> {:.1f} kB as packed codes and scales, the quantized layers 8.2 kB -> {:.1f} kB, "
          "{:.2f} bits a weight\n",
          (layers + rest) / 1e3, (packed + rest) / 1e3, packed / 1e3, 8.0 * packed / 2048));
}

TEST_F(Inspect, GivesLayersOutsideBitsWhenAsked) {
  const Ran ran = run_command({"inspect", model_file("blocks"), "--outside-bw", "8"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "int8 symmetric per channel  no: outside every block");
  EXPECT_EQ(ran.out.find("head (Linear)"), std::string::npos);
}

TEST_F(Inspect, LayerSettingsWinOverOutsideBits) {
  write_text(path("layers.json"),
             R"({"head": {"param_bw": 6}, "blocks.0.*": {"symmetric": false, "group_size": 8}})");
  const Ran ran = run_command({"inspect", model_file("blocks"), "--layer-config", path("layers.json")});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "int6 symmetric per channel");
  EXPECT_HAS(ran.out, "int4 asymmetric per group of 8");
}

TEST_F(Inspect, BlocksByName) {
  const Ran ran = run_command({"inspect", model_file("blocks"), "--blocks", "blocks.1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "1 blocks");
  EXPECT_HAS(ran.out, "blocks.0.fc1 (Linear): outside every block");
  const Ran wrong = run_command({"inspect", model_file("blocks"), "--blocks", "layer.*"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_HAS(wrong.err, "'layer.*' matches no module");
}

TEST_F(Inspect, SaysWhatBecomesOfBatchNorms) {
  const Ran ran = run_command({"inspect", model_file("cnn")});
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const char* text : {"2 blocks, 4 layers to quantize", "blocks.0.bn1: folded into blocks.0.conv1",
                           "norm: stays: it follows (root) (add_2), which is no convolution or linear"})
    EXPECT_HAS(ran.out, text);
  const Ran off = run_command({"inspect", model_file("cnn"), "--no-fold-batch-norms"});
  ASSERT_EQ(off.code, 0) << off.err;
  EXPECT_HAS(off.out, "2 blocks, 4 layers to quantize");
  EXPECT_EQ(off.out.find("folded into"), std::string::npos);
}

TEST_F(Inspect, WritesAPage) {
  const Ran ran =
      run_command({"inspect", model_file("blocks"), "--param-bw", "3", "--html", path("page.html")});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "2 blocks, 4 layers to quantize");
  const std::string page = read_bytes(path("page.html"));
  for (const char* part : {"<title>adascale inspection</title>", "\"name\":\"blocks.1.fc2\"",
                           "\"grid\":\"int3 symmetric per channel\"", "\"stored\":null"})
    EXPECT_HAS(page, part);
}

TEST_F(Inspect, SaysWhatAFileOfOursHolds) {
  ASSERT_EQ(run_command(quantize_blocks({"--param-bw", "3"})).code, 0);
  const auto page_of = [&](const std::string& model) {
    const Ran ran = run_command({"inspect", model, "--html", path("page.html")});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return read_bytes(path("page.html"));
  };
  const std::string page = page_of(path("out/blocks.pt2"));
  EXPECT_HAS(page, "\"summary\":{\"verdict\":");  // of the report beside it
  EXPECT_HAS(page, "\"grid\":\"int3 symmetric per channel\",\"sqnr_db\":");
  fs::rename(path("out/blocks.pt2"), path("alone.pt2"));
  const std::string alone = page_of(path("alone.pt2"));
  EXPECT_HAS(alone,
             "{\"name\":\"blocks.0.fc1.weight\",\"grid\":\"int3 symmetric per channel\",\"sqnr_db\":null}");
  fs::rename(path("alone.pt2"), path("out/other.pt2"));
  EXPECT_EQ(page_of(path("out/other.pt2")).find("\"verdict\""),
            std::string::npos);  // the report is of another
}

TEST_F(Inspect, ShowsTheActivationQuantizersOfAFile) {
  ASSERT_EQ(run_command(quantize_blocks({"--output-bw", "8"})).code, 0);
  const std::string alone = path("alone.pt2");
  fs::copy_file(path("out/blocks.pt2"), alone);
  const Ran ran = run_command({"inspect", alone, "--html", path("page.html")});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "2 blocks, 4 layers to quantize");
  EXPECT_HAS(ran.out, "activation quantizers that it holds\nvalue ");
  const auto report = nlohmann::json::parse(read_bytes(path("out/report.json")));
  const std::string page = read_bytes(path("page.html"));
  size_t found = 0;
  for (const auto& range : report.at("activations")) {
    if (!range.contains("min")) continue;
    ++found;
    const std::string value = range.at("value");
    EXPECT_HAS(ran.out, "\n" + value + " ");
    EXPECT_HAS(page, "\"value\":\"" + value + "\",");
    EXPECT_HAS(page, fmt::format("\"min\":{},\"max\":{}", range.at("min").dump(), range.at("max").dump()));
  }
  EXPECT_GT(found, 3u);
  const Ran plain = run_command({"inspect", model_file("blocks")});
  EXPECT_EQ(plain.out.find("activation quantizers"), std::string::npos);
}

TEST_F(Inspect, AModelWithoutBlocksIsShownToo) {
  const Ran ran = run_command({"inspect", model_file("flat")});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "0 blocks");
  EXPECT_HAS(ran.out, "Sequential");
}

}  // namespace
}  // namespace adascale::testing
