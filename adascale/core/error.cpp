#include "adascale/core/error.h"

#include <fmt/ranges.h>

#include <algorithm>
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

constexpr size_t kMost = 20;  // a model of 200 layers would bury the first under 200 alike

/// One of several checks that see the same fault is enough.
void Objections::keep(std::string text) {
  if (std::find(texts_.begin(), texts_.end(), text) == texts_.end()) texts_.push_back(std::move(text));
}

void Objections::raise() const {
  if (texts_.empty()) return;
  if (texts_.size() <= kMost) fail("{}", fmt::join(texts_, "; "));
  fail("{}; and {} more like these", fmt::join(texts_.begin(), texts_.begin() + kMost, "; "),
       texts_.size() - kMost);
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
