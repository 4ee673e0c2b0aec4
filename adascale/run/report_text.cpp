#include "adascale/run/report_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/words.h"
#include "adascale/run/text.h"
#include "adascale/tune/training_summary.h"

namespace adascale {
namespace {

constexpr size_t kBlocksInSight = 12;  // of a notebook; the rest opens on a click

std::string change_text(double before, double after) {
  const double change = after / before - 1;
  return std::isfinite(change) ? fmt::format("{:+.0f} %", 100 * change) : "-";
}

std::string outcome(const BlockReport& block) {
  if (block.layers.empty()) return "nothing to train";
  if (!block.kept) return block.diverged ? "diverged" : "kept the start";
  if (block.loss_after == block.loss_before) return "the same";
  return block.loss_after < block.loss_before ? "better" : "worse";
}

bool has_held_out(const AdaScaleReport& report) {
  return std::any_of(report.blocks.begin(), report.blocks.end(),
                     [](const BlockReport& block) { return block.held_out_before.has_value(); });
}

bool has_notes(const AdaScaleReport& report) {
  for (const BlockReport& block : report.blocks)
    if (!block.note.empty()) return true;
  return false;
}

/// The columns of both forms; the first row has their names.
std::vector<Row> rows_of(const AdaScaleReport& report) {
  const bool held_out = has_held_out(report), notes = has_notes(report);
  Row head = {"block", "layers", "rounded", "trained", "change"};
  if (held_out) head.emplace_back("held-out change");
  for (const char* name : {"result", "seconds"}) head.emplace_back(name);
  if (notes) head.emplace_back("note");
  std::vector<Row> rows = {head};
  for (const BlockReport& block : report.blocks) {
    Row row = {block.name, std::to_string(block.layers.size()), fmt::format("{:.4g}", block.loss_before),
               fmt::format("{:.4g}", block.loss_after), change_text(block.loss_before, block.loss_after)};
    if (held_out)
      row.push_back(change_text(block.held_out_before.value_or(NAN), block.held_out_after.value_or(NAN)));
    row.push_back(outcome(block));
    row.push_back(fmt::format("{:.1f}", block.seconds));
    if (notes) row.push_back(block.note);
    rows.push_back(row);
  }
  return rows;
}

/// "AdaScale, recipe fast on cpu in float32: 6 blocks in 12 s"
std::string title(const AdaScaleReport& report) {
  return fmt::format("AdaScale, recipe {} on {} in {}: {} in {:.0f} s", report.recipe, report.device,
                     report.precision, plural(static_cast<int64_t>(report.blocks.size()), "block"),
                     report.seconds);
}

/// Sentences on the whole: the verdict, the figures behind it, the last stage.
std::vector<std::string> sentences(const AdaScaleReport& report) {
  const TrainingSummary summary = summarize(report);
  std::vector<std::string> lines = {verdict(summary)};
  if (summary.change && *summary.change != 0)
    lines.push_back(fmt::format(
        "Block error: {} than rounded to nearest, by the median{}.", describe_change(*summary.change),
        summary.held_out_change
            ? fmt::format("; {} on batches held out", describe_change(*summary.held_out_change))
            : ""));
  if (!report.last_stage) return lines;
  const LastStageReport& stage = *report.last_stage;
  lines.push_back(stage.iterations == 0
                      ? fmt::format("No last stage: {}.", stage.note)
                      : fmt::format("Last stage: held-out loss {:.4g} -> {:.4g}, {}.", stage.held_out_before,
                                    stage.held_out_after, stage.kept ? "kept" : "not kept"));
  return lines;
}

/// Names come from models.
std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text)
    safe += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return safe;
}

std::string cells(const Row& row, const char* tag) {
  std::string text;
  for (size_t i = 0; i < row.size(); ++i)
    text += fmt::format("<{0}{1}>{2}</{0}>", i == 0 ? "th" : tag, i == 0 ? " style=\"text-align:left\"" : "",
                        escaped(row[i]));
  return fmt::format("<tr>{}</tr>", text);
}

std::string html_table(const std::vector<Row>& rows) {
  std::string text = "<table><thead>" + cells(rows.front(), "th") + "</thead><tbody>";
  for (size_t i = 1; i < rows.size(); ++i) text += cells(rows[i], "td");
  return text + "</tbody></table>";
}

std::string details(const std::string& summary, const std::string& content) {
  return fmt::format("<details><summary>{}</summary>{}</details>", escaped(summary), content);
}

}  // namespace

std::string report_summary(const AdaScaleReport& report) {
  std::string text = title(report) + "\n";
  for (const std::string& line : sentences(report)) text += line + "\n";
  return text;
}

std::string report_text(const AdaScaleReport& report) {
  std::string text = report_summary(report);
  if (!report.blocks.empty()) text += "\n" + format_table(rows_of(report));
  if (!report.not_trained.empty()) text += "\nnot trained\n";
  for (const std::string& line : report.not_trained) text += fmt::format("  {}\n", line);
  return text;
}

std::string report_html(const AdaScaleReport& report) {
  std::string text = fmt::format("<div><p><strong>{}</strong></p>", escaped(title(report)));
  for (const std::string& line : sentences(report)) text += fmt::format("<p>{}</p>", escaped(line));
  if (const std::vector<Row> rows = rows_of(report); rows.size() > 1)
    text += rows.size() <= 1 + kBlocksInSight
                ? html_table(rows)
                : details(plural(static_cast<int64_t>(report.blocks.size()), "block"), html_table(rows));
  std::string items;
  for (const std::string& line : report.not_trained) items += fmt::format("<li>{}</li>", escaped(line));
  if (!items.empty())
    text += details(
        fmt::format("{} not trained", plural(static_cast<int64_t>(report.not_trained.size()), "layer")),
        "<ul>" + items + "</ul>");
  return text + "</div>";
}

}  // namespace adascale
