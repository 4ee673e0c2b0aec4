#include "adascale/core/glob.h"

#include <fnmatch.h>

namespace adascale {

bool glob_match(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace adascale
