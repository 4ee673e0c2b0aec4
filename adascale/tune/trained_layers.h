#pragma once
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"

namespace adascale {

inline constexpr int kMaxTrainedBits = 8;

/// Whether a block would train the weight, by its bits and settings.
bool is_trainable(const QuantizedWeight& weight);

/// The first of the blocks that calls the layer: it decides the weight. nullptr: none does. `blocks` must outlive it.
const Block* deciding_block(const QuantizedWeight& weight, const std::vector<Block>& blocks);

/// Why AdaScale leaves a quantized weight at round-to-nearest: its bits, its settings or its
/// position; empty when one of the blocks trains it.
std::string reason_not_trained(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                               const std::vector<Block>& blocks);

/// Indices of the weights that the block trains: those that no earlier block has decided.
std::vector<int32_t> weights_to_train(const QuantizationSimModel& sim, const Block& block);

/// Each quantized layer outside all `blocks` as a block of its own, named after the layer;
/// execution order. For a layer called several times, the first call.
std::vector<Block> blocks_of_layers_outside(const QuantizationSimModel& sim,
                                            const std::vector<Block>& blocks);

}  // namespace adascale
