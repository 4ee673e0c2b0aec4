#pragma once
#include <string>
#include <vector>

namespace adascale {

/// At most three of `names` that `word` may have meant, best first: ignoring case, one begins the
/// other or few letters differ.
std::vector<std::string> near_names(const std::string& word, const std::vector<std::string>& names);

/// "; did you mean a or b?", or nothing: the end of a message about an unknown `word`.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& names);

}  // namespace adascale
