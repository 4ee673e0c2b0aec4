#include "adascale/core/glob.h"

#include <fnmatch.h>

#include <string_view>

namespace adascale {

bool glob_match(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

std::string glob_of(const std::string& text) {
  std::string pattern;
  for (const char letter : text) {
    const bool bracketed = pattern.empty() || std::string_view("*?[").find(letter) != std::string_view::npos;
    pattern += bracketed ? std::string{'[', letter, ']'} : std::string{letter};
  }
  return pattern;
}

}  // namespace adascale
