#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "adascale/formats/format.h"

namespace adascale {

/// A parameter or buffer that belongs in files, with every name the model has for it.
struct SavedTensor {
  std::vector<std::string> names;  ///< files use the first; the others are tied to it
  int32_t weight = kNone;          ///< its quantizer's index in sim.weights(); kNone: full precision
};

/// Parameters and persistent buffers (a state_dict's content), in the program's order. Names are
/// tied that stand for the same elements of one storage, in the same layout.
std::vector<SavedTensor> saved_state(const QuantizationSimModel& sim);

/// Names that stand for the same elements of one storage, in the same layout, together: positions
/// in `tensors`, in the order of the first of each. Empty tensors are alone.
std::vector<std::vector<size_t>> group_tied(const std::vector<at::Tensor>& tensors);

/// Its values: on the grid if quantized, folded or not; otherwise the program's own.
at::Tensor values_of(const QuantizationSimModel& sim, const SavedTensor& saved);

/// The same of any model: of one in parts, the live model's tensors under the names that they have there.
struct SavedValue {
  std::vector<std::string> names;
  bool is_quantized;
  c10::ScalarType dtype;
  std::vector<int64_t> sizes;
  std::function<at::Tensor()> value;  ///< on the host; refers to the model's simulations
};
std::vector<SavedValue> saved_values(const ModelToWrite& model);

}  // namespace adascale
