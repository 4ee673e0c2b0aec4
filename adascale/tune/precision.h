#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adascale/device/flags.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// The dtype of the layers' products while a block is trained and measured, and of the same products in the
/// full-precision model: kBFloat16 or kFloat. `precision`: auto (bfloat16 where the recipe takes it and the device is
/// fast at it), float32 or bfloat16.
c10::ScalarType compute_type(const std::string& precision, const Recipe& recipe, c10::Device device);

/// The same for people: "float32" or another dtype of the model, "bfloat16 up to 4 bits, the rest
/// float32", or TF32 where the device has it.
std::string describe_precision(c10::ScalarType compute_type,
                               const std::vector<const QuantizationSimModel*>& sims);

/// The switches for training through these nodes. Recurrent layers run cell by cell: cuDNN's backward needs a forward in
/// train mode.
Flags training_flags(const Program& program, const std::vector<NodeId>& nodes, c10::ScalarType compute_type,
                     bool deterministic);

/// Whether nothing but the layer's nodes, and the views before them, reads its weight: no norm of it, no assertion of its
/// dtype.
bool only_its_nodes_read(const Program& program, const Layer& layer);

/// Whether a weight's layers may be multiplied in bf16: it is fp32, only products, convolutions and lookups read it,
/// without a cast, and its own rounding is well above bf16's.
bool takes_bfloat16(const QuantizationSimModel& sim, const QuantizedWeight& weight);

/// What blocks compute in `type` instead of fp32: the products with weights that take it, and attention beside them.
struct Lowered {
  c10::ScalarType type = c10::ScalarType::Float;  ///< kFloat: nothing is lowered
  std::set<NodeId> nodes = {};
  /// Lookups of the same weights, in `type` only where the weight itself is: in training.
  std::set<NodeId> lookups = {};
  std::set<ValueId> weights = {};  ///< that `nodes` alone read

  /// Those among `weights`, indices into the sim's, that the block applies.
  void add(const QuantizationSimModel& sim, const std::vector<int32_t>& weights, const Block& block);
  std::optional<c10::ScalarType> type_of(NodeId node) const;
};

/// The nodes that multiply by an fp32 weight that is not quantized: a head over tokens, for one.
std::vector<NodeId> products_of_fp32_weights(const QuantizationSimModel& sim);

}  // namespace adascale
