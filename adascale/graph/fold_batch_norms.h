#pragma once
#include <vector>

#include "adascale/graph/batch_norms.h"

namespace adascale {

/// Makes inference batch norms part of the layers they follow (find_batch_norms), as deployed models run, and
/// returns those that stay. `Program::folded_batch_norms` gains the others.
///
/// Computed in double, stored in the weight's dtype; a layer without bias gets one, "conv.bias" beside
/// "conv.weight". The norm's node and tensors leave the program and its document; every other name stays.
/// Call it before anything holds ids. Weights become new tensors; with `in_place` the program's own are
/// overwritten, and the norm's too, with what leaves the module they came from computing the same.
std::vector<KeptBatchNorm> fold_batch_norms(Program& program, bool in_place = false);

}  // namespace adascale
