#include "adascale/core/error.h"

#include <fmt/ranges.h>

namespace adascale {

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
