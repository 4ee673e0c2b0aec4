#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/graph/size_expression.h"
#include "adascale/sim/inputs.h"

namespace adascale {

/// The sizes that batches give a program's symbols, with the number of batches that give them.
std::vector<std::pair<SymbolSizes, int64_t>> count_sizes(const Program& program,
                                                         const std::vector<Inputs>& batches);

/// Of a tensor in a batch of such sizes. A size that the symbols do not give is that of
/// the capture.
int64_t elements_of(const Value& value, const SymbolSizes& symbols);

}  // namespace adascale
