#include "adascale/run/report_text.h"

#include "run/run_case.h"

namespace adascale::testing {
namespace {

AdaScaleReport report_of(size_t blocks) {
  AdaScaleReport report;
  report.recipe = "fast", report.device = "cpu", report.precision = "float32", report.seconds = 12;
  for (size_t i = 0; i < blocks; ++i)
    report.blocks.push_back({.name = fmt::format("blocks.{}", i),
                             .layers = {{.name = "fc"}},
                             .loss_before = 0.02,
                             .loss_after = 0.01,
                             .seconds = 1.5});
  return report;
}

TEST(ReportText, SaysWhetherItWorkedAndHasARowPerBlock) {
  EXPECT_EQ(report_text(report_of(2)),
            "AdaScale, recipe fast on cpu in float32: 2 blocks in 12 s\n"
            "All 2 blocks came out closer to the full-precision model than round-to-nearest.\n"
            "Block error: 50 % less than rounded to nearest, by the median.\n"
            "\n"
            "block     layers  rounded  trained  change  result  seconds\n"
            "--------  ------  -------  -------  ------  ------  -------\n"
            "blocks.0  1       0.02     0.01     -50 %   better  1.5\n"
            "blocks.1  1       0.02     0.01     -50 %   better  1.5\n");
}

TEST(ReportText, NamesWhatWasUnusual) {
  AdaScaleReport report = report_of(1);
  report.blocks[0].kept = false;
  report.blocks[0].note = "shorter steps";
  report.blocks[0].held_out_before = 0.02, report.blocks[0].held_out_after = 0.03;
  report.blocks.push_back({.name = "b", .layers = {{}}, .loss_after = 0.1, .kept = false, .diverged = true});
  report.not_trained = {"head: outside every block"};
  const std::string text = report_text(report);
  for (const char* part : {"held-out change", "+50 %", "kept the start", "diverged", "shorter steps",
                           "\nnot trained\n  head: outside every block\n"})
    EXPECT_HAS(text, part);
}

TEST(ReportHtml, ANameStaysText) {
  AdaScaleReport report = report_of(1);
  report.blocks[0].name = "</table><script>alert(1)</script>&";
  const std::string html = report_html(report);
  EXPECT_HAS(html, "&lt;/table&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;");
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("<details"), std::string::npos);
}

TEST(ReportHtml, ManyBlocksOpenOnAClick) {
  EXPECT_HAS(report_html(report_of(40)), "<details><summary>40 blocks</summary><table>");
}

}  // namespace
}  // namespace adascale::testing
