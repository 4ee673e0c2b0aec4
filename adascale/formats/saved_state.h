#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// A parameter or buffer that belongs in files, with every name the model has for it.
struct SavedTensor {
  std::vector<std::string> names;  ///< the first is what files call it; the others are tied to it
  int32_t weight = kNone;          ///< its quantizer's index in sim.weights(); kNone: full precision
};

/// Parameters and persistent buffers (a state_dict's content), in the program's order. Tied are those names
/// that stand for the same elements of one storage, in the same layout.
std::vector<SavedTensor> saved_state(const QuantizationSimModel& sim);

/// Its values: on the grid where quantized, whether folded yet or not; the program's own otherwise.
at::Tensor values_of(const QuantizationSimModel& sim, const SavedTensor& saved);

}  // namespace adascale
