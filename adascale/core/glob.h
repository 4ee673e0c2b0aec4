#pragma once
#include <string>

namespace adascale {

/// Whether `text` matches the shell pattern: `*` any run of characters (dots too), `?` any one, `[abc]` one
/// of a set.
bool glob_match(const std::string& pattern, const std::string& text);

/// The pattern that matches only `text` and has brackets, so that it is not taken for a plain
/// name: "Linear" -> "[L]inear".
std::string glob_of(const std::string& text);

}  // namespace adascale
