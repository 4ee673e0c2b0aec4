#include "adascale/run/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>

namespace adascale {
namespace {

std::vector<size_t> column_widths(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  return widths;
}

std::string format_row(const Row& row, const std::vector<size_t>& widths) {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::string format_table(const std::vector<Row>& rows) {
  const std::vector<size_t> widths = column_widths(rows);
  std::string text;
  for (const Row& row : rows) {
    text += format_row(row, widths);
    if (&row != &rows.front()) continue;
    Row rule;
    for (const size_t width : widths) rule.emplace_back(width, '-');
    text += format_row(rule, widths);
  }
  return text;
}

std::optional<int64_t> parse_bytes(const std::string& text) {
  static const std::regex pattern(R"(\s*(\d+(?:\.\d*)?)\s*(?:([kmgt])(i?))?b?\s*)", std::regex::icase);
  std::smatch found;
  if (!std::regex_match(text, found, pattern)) return std::nullopt;
  double bytes = std::stod(found[1]);
  const std::string unit = found[2];
  const auto power =
      unit.empty() ? 0 : std::string_view("kmgt").find(static_cast<char>(std::tolower(unit[0]))) + 1;
  bytes *= std::pow(found[3].length() > 0 ? 1024.0 : 1000.0, static_cast<double>(power));
  return bytes < 1e18 ? std::optional(static_cast<int64_t>(bytes)) : std::nullopt;
}

std::string format_bytes(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  const char* const units[] = {"kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 119.5) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<int64_t>(std::lround(seconds / 60));
  if (minutes < 120) return fmt::format("{} min", minutes);
  if (minutes < 24 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{:.0f} h", seconds / 3600);
}

}  // namespace adascale
