#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// What the layers of a block are multiplied in while it is trained and measured: kBFloat16 or kFloat.
/// `precision`: auto (what the recipe takes and the device is fast at), float32 or bfloat16.
c10::ScalarType compute_type(const std::string& precision, const Recipe& recipe, c10::Device device);

/// The same for people: "float32" or the dtype of a model of another, "bfloat16 up to 4 bits, the rest
/// float32", or TF32 where the device has it.
std::string describe_precision(c10::ScalarType compute_type, const QuantizationSimModel& sim);

/// Whether a weight's layers may be multiplied in bf16: products and convolutions of an fp32 weight
/// whose own rounding is well above bf16's, and which nothing else reads.
bool takes_bfloat16(const QuantizationSimModel& sim, const QuantizedWeight& weight);

}  // namespace adascale
