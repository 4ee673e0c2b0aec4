#include "adascale/run/pages.h"

#include <nlohmann/json.hpp>

#include "adascale/run/quantize.h"
#include "adascale/run/report_json.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

using nlohmann::json;

/// The JSON in a page.
json data_of(const std::string& page) {
  const std::string begin = "id=\"report\">";
  const size_t from = page.find(begin) + begin.size();
  return json::parse(page.substr(from, page.find("</script>", from) - from));
}

size_t count(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

AdaScaleReport one_block(const std::string& name) {
  AdaScaleReport report;
  report.recipe = "fast";
  report.blocks = {{.name = name, .layers = {{.name = name}}, .curve = {{1, 0.5}}}};
  return report;
}

TEST(Pages, AHostileNameStaysText) {
  const std::string name = "</script><script>alert(1)</script><!-- <img src=x> \"'&\\ \xff {{page.js}}";
  const std::string page = report_page(report_json(one_block(name)));
  const std::string plain = report_page(report_json(one_block("plain")));
  for (const char* part : {"<script", "</script", "<!--", "<img"})
    EXPECT_EQ(count(page, part), count(plain, part)) << part;
  const std::string read = data_of(page).at("blocks").at(0).at("name");
  EXPECT_EQ(read, "</script><script>alert(1)</script><!-- <img src=x> \"'&\\ \xEF\xBF\xBD {{page.js}}");
}

TEST(Pages, LoadsNothing) {
  const std::string page = report_page(report_json(one_block("plain")));
  for (const char* part : {" src=", "<link", "@import", "url(", "fetch(", "XMLHttpRequest", "import("})
    EXPECT_EQ(count(page, part), 0) << part;
  EXPECT_HAS(page, "Permission is hereby granted");  // uPlot's licence
  EXPECT_HAS(page, "var uPlot=");
  EXPECT_EQ(count(page, "{{"), 0);
}

TEST(Pages, ThirtyTwoBlocksAreUnderAMegabyte) {
  AdaScaleReport report;
  report.recipe = "fast";
  const std::vector<int64_t> counts(256, 1'234'567);  // as many digits as layers of 58 million weights have
  for (int block = 0; block < 32; ++block) {
    const std::string name = fmt::format("model.layers.{}", block);
    BlockReport made{.name = name, .loss_before = 0.123456789, .loss_after = 0.0123456789};
    for (int layer = 0; layer < 7; ++layer) {
      made.layers.push_back({.name = name + ".self_attn.q_proj",
                             .grid = "int8 asymmetric, per channel",
                             .sqnr_rtn_db = 41.23456789012345,
                             .sqnr_db = 42.34567890123456,
                             .codes_moved = 0.1234567890123456,
                             .weights = {-0.123456789, 0.123456789, {counts.begin(), counts.begin() + 64}},
                             .codes = {-128, counts}});
    }
    for (int i = 1; i <= 64; ++i) made.curve.push_back({i, 0.01234567890123456});
    report.blocks.push_back(made);
  }
  EXPECT_LT(report_page(report_json(report)).size(), 1'000'000);
}

TEST(Pages, NumbersThatAreNotFiniteAreNull) {
  AdaScaleReport report = one_block("plain");
  report.blocks[0].loss_after = std::numeric_limits<double>::quiet_NaN();
  report.blocks[0].curve = {{1, std::numeric_limits<double>::infinity()}};
  const json block = data_of(report_page(report_json(report))).at("blocks").at(0);
  EXPECT_TRUE(block.at("loss_after").is_null());
  EXPECT_TRUE(block.at("curve").at(0).at(1).is_null());
}

class ReportOfARun : public RunTest {};

TEST_F(ReportOfARun, ThePageHoldsTheReport) {
  QuantizeRequest asked = request();
  asked.sim.default_output_bw = 8;
  quantize(asked);
  const std::string text = read_bytes(path("out/report.json"));
  EXPECT_EQ(read_bytes(path("out/report.html")), report_page(text));
  const json report = json::parse(text);
  EXPECT_EQ(report.at("schema"), 1);
  EXPECT_EQ(report.at("model"), "blocks.pt2");
  EXPECT_EQ(report.at("data"), json({"calib.safetensors"}));
  EXPECT_LT(report.at("size").at("after"), report.at("size").at("before"));
  EXPECT_EQ(report.at("formats").at(0).at("files"), json({"blocks.pt2"}));
  EXPECT_EQ(report.at("formats").at(0).at("how_to_load"), "torch.export.load('blocks.pt2').module()(x)");
  EXPECT_FALSE(report.at("activations").empty());
  for (const json& range : report.at("activations")) EXPECT_LE(range.at("min"), range.at("max"));
  EXPECT_FALSE(report.at("left_out").empty());
  for (const json& block : report.at("blocks")) EXPECT_EQ(block.at("curve").size(), 2);
}

TEST_F(ReportOfARun, ALineToTypeNeverHoldsWhatAShellWouldRun) {
  QuantizeRequest asked = request();
  asked.model = path("x; rm -rf ~ #.pt2");
  fs::copy_file(model_file("blocks"), asked.model);
  quantize(asked);
  const json report = json::parse(read_bytes(path("out/report.json")));
  EXPECT_EQ(report.at("formats").at(0).at("how_to_load"), "torch.export.load('PREFIX.pt2').module()(x)");
}

TEST_F(ReportOfARun, CountsEveryWeightAndCode) {
  quantize(request());
  const json report = json::parse(read_bytes(path("out/report.json")));
  for (const json& block : report.at("blocks"))
    for (const json& layer : block.at("layers")) {
      const json shape =
          report.at("plan").at("model").at("layers").at(layer.at("name").get<std::string>()).at("shape");
      int64_t size = 1, weights = 0, codes = 0;
      for (const json& length : shape) size *= length.get<int64_t>();
      for (const json& bin : layer.at("weights").at("counts")) weights += bin.get<int64_t>();
      for (const json& bin : layer.at("codes").at("counts")) codes += bin.get<int64_t>();
      EXPECT_EQ(layer.at("codes").at("first"), -8);
      EXPECT_EQ(layer.at("codes").at("counts").size(), 16);
      EXPECT_EQ(weights, size);
      EXPECT_EQ(codes, size);
    }
}

TEST_F(ReportOfARun, TheSameRunGivesTheSameBytes) {
  QuantizeRequest again = request();
  quantize(again);
  again.output_dir = path("again");
  quantize(again);
  EXPECT_EQ(read_bytes(path("out/report.html")), read_bytes(path("again/report.html")));
}

}  // namespace
}  // namespace adascale::testing
