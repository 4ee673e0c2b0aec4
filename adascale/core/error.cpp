#include "adascale/core/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace adascale {
namespace {

constexpr char32_t kNone = 0xffffffff;

/// The first character of `text` and the number of its bytes; kNone where they are not valid UTF-8.
std::pair<char32_t, size_t> first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || bytes > text.size()) return {kNone, 1};
  char32_t character = byte(0) & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {kNone, 1};
    character = character << 6 | (byte(i) & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = 0xd800 <= character && character < 0xe000;
  if (character < kLeast[bytes] || character > 0x10ffff || is_surrogate) return {kNone, 1};
  return {character, bytes};
}

/// Not a control character, a line's or paragraph's end, or one that turns the direction of text.
bool is_printable(char32_t c) {
  return c >= 0x20 && (c < 0x7f || c >= 0xa0) && !(0x2028 <= c && c <= 0x202e) &&
         !(0x2066 <= c && c <= 0x2069) && c != kNone;
}

}  // namespace

std::string in_one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const auto [character, bytes] = first_character(text);
    for (const char byte : text.substr(0, bytes))
      if (is_printable(character))
        line += byte;
      else
        line += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    text.remove_prefix(bytes);
  }
  return line;
}

namespace {

constexpr size_t kMost = 20;  // a model of 200 layers would bury the first under 200 alike

/// "a, b", "a, b, c", "a, b and 12 more".
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 2;
  if (names.size() <= kShown + 1) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "),
                     names.size() - kShown);
}

using Parts = std::vector<std::string>;

/// "gguf: layer.0: has no place" in three.
Parts parts_of(std::string_view text) {
  constexpr std::string_view kBetween = ": ";
  Parts parts;
  for (size_t end = text.find(kBetween); end != std::string_view::npos; end = text.find(kBetween)) {
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + kBetween.size());
  }
  parts.emplace_back(text);
  return parts;
}

/// Objections alike but for one part before the last, the name of a layer say.
struct Alike {
  Parts parts;
  std::optional<size_t> place = {};     ///< of the part that differs; none: a single objection
  std::vector<std::string> names = {};  ///< what stands there, in order

  /// Takes one more that differs in that part alone.
  bool join(const Parts& other) {
    if (other.size() != parts.size()) return false;
    std::optional<size_t> differs;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (other[i] == parts[i]) continue;
      if (differs || i + 1 == parts.size()) return false;
      differs = i;
    }
    if (!differs || (place && place != differs)) return false;
    if (!place) names = {parts[*differs]};
    place = differs;
    names.push_back(other[*differs]);
    return true;
  }

  std::string text() const {
    Parts shown = parts;
    if (place) shown[*place] = some_of(names);
    return fmt::format("{}", fmt::join(shown, ": "));
  }
};

std::vector<std::string> grouped(const std::vector<std::string>& texts) {
  std::vector<Alike> groups;
  for (const std::string& text : texts) {
    const Parts parts = parts_of(text);
    if (std::none_of(groups.begin(), groups.end(), [&](Alike& group) { return group.join(parts); }))
      groups.push_back({parts});
  }
  std::vector<std::string> lines;
  for (const Alike& group : groups) lines.push_back(group.text());
  return lines;
}

}  // namespace

/// One of several checks that see the same fault is enough.
void Objections::keep(std::string text) {
  if (std::find(texts_.begin(), texts_.end(), text) == texts_.end()) texts_.push_back(std::move(text));
}

void Objections::raise() const {
  if (texts_.empty()) return;
  const std::vector<std::string> lines = grouped(texts_);
  if (lines.size() <= kMost) fail("{}", fmt::join(lines, "; "));
  fail("{}; and {} more like these", fmt::join(lines.begin(), lines.begin() + kMost, "; "),
       lines.size() - kMost);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string reason_of(const std::exception& error) {
  const std::string reason = first_line(error.what());
  const size_t name_ends = reason.starts_with("[json.exception.") ? reason.find("] ") : std::string::npos;
  return name_ends == std::string::npos ? reason : reason.substr(name_ends + 2);
}

}  // namespace adascale
