#pragma once
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/graph/program.h"
#include "adascale/sim/inputs.h"

namespace adascale {

/// Objects to batches that do not fit the program and to NaN or infinity in them, naming the part
/// whose program it is (empty: the whole model), the batch and the input; to the first few of them.
/// Of tensors without values (meta) sizes and dtypes are checked.
void check_batches(const Program& program, const std::string& part, const std::vector<Inputs>& batches,
                   Objections& objections);

}  // namespace adascale
