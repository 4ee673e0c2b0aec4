#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/run/stored_quantizers.h"

namespace adascale {

/// What a file or folder that adascale wrote holds, as JSON: who wrote it, each weight's grid and, where the report of its
/// run lies beside it, each weight's error; ranges of activations, of the report or else `quantizers`, those of the
/// program. null: another's, without any. Throws (user), naming the file, where a report or metadata of ours is damaged.
std::string stored_json(const std::string& model, const std::vector<StoredQuantizer>& quantizers);

/// How many activations the run that wrote the file or folder put on grids that are not in it; 0 where no report tells.
/// Throws as stored_json does.
int64_t activations_not_held(const std::string& model);

}  // namespace adascale
