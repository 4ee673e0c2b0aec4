#include "adascale/core/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

namespace adascale {
namespace {

/// Bytes of the character that `text` begins with; 0 where it is no UTF-8 or would act on a terminal.
size_t printable_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const int second = byte(1);  // excludes longer forms of short characters, surrogates, above U+10FFFF, C1
  const bool is_valid = byte(0) == 0xc2   ? second >= 0xa0
                        : byte(0) == 0xe0 ? second >= 0xa0
                        : byte(0) == 0xed ? second < 0xa0
                        : byte(0) == 0xf0 ? second >= 0x90
                        : byte(0) == 0xf4 ? second < 0x90
                                          : true;
  return is_valid ? bytes : 0;
}

}  // namespace

std::string in_one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const size_t bytes = printable_bytes(text);
    if (bytes > 0)
      line += text.substr(0, bytes);
    else
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return line;
}

constexpr size_t kMost = 20;  // a model of 200 layers would bury the first under the same of all others

void Objections::raise() const {
  if (texts_.empty()) return;
  if (texts_.size() <= kMost) fail("{}", fmt::join(texts_, "; "));
  fail("{}; and {} more like these", fmt::join(texts_.begin(), texts_.begin() + kMost, "; "),
       texts_.size() - kMost);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace adascale
