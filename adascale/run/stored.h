#pragma once
#include <string>
#include <vector>

#include "adascale/run/stored_quantizers.h"

namespace adascale {

/// What a file or folder that adascale wrote holds, as JSON: who wrote it, each weight's grid and, where the report of its
/// run lies beside it, each weight's error; ranges of activations, of the report or else `quantizers`, those of the
/// program. null: another's, without any.
std::string stored_json(const std::string& model, const std::vector<StoredQuantizer>& quantizers);

}  // namespace adascale
