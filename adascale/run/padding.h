#pragma once
#include <cstdint>
#include <string>

#include "adascale/graph/program.h"
#include "adascale/run/batches.h"

namespace adascale {

/// Samples of token ids that are padded on the right change places, so that those of like length share a batch, and each
/// batch ends where its longest sample does: padding costs time and memory and counts nowhere. The batches then come in
/// an order drawn from `seed`; their sizes stay. Returns a note for the plan; empty: nothing was changed, as where the
/// program has no "attention_mask" [batch, seq], takes one length alone, or has inputs of other shapes.
std::string cut_padding(const Program& program, uint64_t seed, Batches& batches);

}  // namespace adascale
