#pragma once
#include <cstdint>
#include <vector>

#include "adascale/kernels/update_rule.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"

namespace adascale {

/// An estimate of the activations held between blocks while the largest trains: the values at its
/// border, for all batches, in the float and in the quantized stream. Of outputs that the loss alone reads only the float
/// ones, and none that are computed anew where memory has no room. Of a part of a model the live module's outputs wait
/// beside those of its program.
int64_t estimate_activation_bytes(const Program& program, const std::vector<Block>& blocks,
                                  const std::vector<Inputs>& batches, bool is_whole);

/// An estimate of the device memory that the largest block takes in training: its
/// weights, their learnables and autograd's copies, the rest of its state, one batch's
/// activations with their gradients.
int64_t estimate_block_bytes(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                             const std::vector<Inputs>& batches, UpdateRule update);

}  // namespace adascale
