#pragma once
#include <vector>

#include "adascale/graph/batch_norms.h"

namespace adascale {

/// Makes inference batch norms part of the layers they follow (find_batch_norms), as deployed
/// models run, and returns those that stay. Adds the others to `Program::folded_batch_norms`.
///
/// Computed in double, stored in the weight's dtype. A layer without bias gets one, "conv.bias"
/// beside "conv.weight". The norm's node and tensors leave the program and its document; every
/// other name stays. Call it before anything holds ids. Weights become new tensors. With
/// `in_place` the program's own are overwritten, and the norm's too, so that the module they came
/// from still computes the same.
std::vector<KeptBatchNorm> fold_batch_norms(Program& program, bool in_place = false);

}  // namespace adascale
