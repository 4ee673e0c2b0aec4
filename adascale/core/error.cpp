#include "adascale/core/error.h"

#include <fmt/ranges.h>

namespace adascale {

void Objections::raise() const {
  if (!texts_.empty()) fail("{}", fmt::join(texts_, "; "));
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace adascale
