#pragma once
#include <string>

namespace adascale {

/// What a file or folder that adascale wrote holds, as JSON: who wrote it, each weight's grid and, where the report of its
/// run lies beside it, each weight's error and the ranges of activations. null: another's.
std::string stored_json(const std::string& model);

}  // namespace adascale
