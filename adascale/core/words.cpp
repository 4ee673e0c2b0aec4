#include "adascale/core/words.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

namespace adascale {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// The number of letters to insert, delete or replace (Levenshtein).
size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

constexpr size_t kFar = 1000;

/// The smaller, the nearer; kFar: not similar.
size_t distance(const std::string& word, const std::string& name) {
  const size_t shorter = std::min(word.size(), name.size());
  const size_t letters = edits(word, name);
  if (letters <= std::max<size_t>(1, (shorter + 1) / 3)) return letters;
  const bool begins = shorter >= 3 && word.compare(0, shorter, name, 0, shorter) == 0;
  return begins ? letters : kFar;
}

}  // namespace

std::string plural(int64_t count, const std::string& noun) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return fmt::format("{} {}{}", digits, noun, count == 1 ? "" : "s");
}

std::vector<std::string> near_names(const std::string& word, const std::vector<std::string>& names) {
  constexpr size_t kLongest = 200;  // a longer name is no typing error
  if (word.size() > kLongest) return {};
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& name : names) {
    const size_t far = name.size() > kLongest ? kFar : distance(lower(word), lower(name));
    if (far < kFar) ranked.emplace_back(far, name);
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.erase(std::unique(ranked.begin(), ranked.end()), ranked.end());
  ranked.resize(std::min<size_t>(ranked.size(), 3));
  std::vector<std::string> nearest;
  for (auto& [far, name] : ranked) nearest.push_back(std::move(name));
  return nearest;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& names) {
  const auto nearest = near_names(word, names);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(nearest, " or "));
}

}  // namespace adascale
