#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/chunks.h"

namespace adascale {

/// The weights whose scales learn in the last stage: those that the blocks train, on grids whose floats are free
/// (quant/forms/form.h).
std::vector<int32_t> weights_to_rescale(const QuantizationSimModel& sim, const std::vector<Block>& blocks);

/// The values of parameters that are those weights, by the weight's place in `weights`.
std::map<ValueId, size_t> values_of_weights(const QuantizationSimModel& sim,
                                            const std::vector<int32_t>& weights);

/// The last node of each block trained, and of each of the rule's, ascending.
std::vector<NodeId> ends_of_blocks(const QuantizationSimModel& sim, const std::vector<Block>& blocks);

/// The program up to `output`, cut at the ends of the blocks trained, and of those of the rule, for gradients of the
/// parameters that `learned` are.
Chunks chunks_at_blocks(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                        const std::set<ValueId>& learned, ValueId output);
/// The same for the weights whose scales learn in the last stage.
Chunks chunks_for_last_stage(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                             ValueId output);

/// How many of the last batches are kept out of all training: an eighth of the samples, two at least. 0: no batch is
/// small enough, or there are too few samples to tell anything.
int64_t held_out_for_last_stage(const std::vector<Inputs>& batches);

/// Samples, along the first input's dim 0.
int64_t samples_of(const Inputs& batch);

/// Why the last stage does not run for a whole model; empty: it does. `held_out`: batches.
std::string why_no_last_stage(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                              int64_t held_out);

}  // namespace adascale
