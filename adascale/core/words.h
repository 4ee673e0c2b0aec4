#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// "1 block", "3 blocks"; thousands are separated.
std::string plural(int64_t count, const std::string& noun);

/// At most three of `names` that `word` may have meant, best first: ignoring case, one begins the
/// other or few letters differ.
std::vector<std::string> near_names(const std::string& word, const std::vector<std::string>& names);

/// "; did you mean a or b?", or nothing: the end of a message about an unknown `word`.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& names);

}  // namespace adascale
