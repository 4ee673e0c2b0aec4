#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// Whether this CPU multiplies bf16 matrices faster than fp32 ones: AMX, AVX-512 bf16, Arm's bf16.
bool has_fast_bfloat16();

/// What the layers of a block are multiplied in while it is trained and measured: kBFloat16 or kFloat.
/// `precision`: auto (what the recipe takes and the CPU is fast at), float32 or bfloat16.
c10::ScalarType compute_type(const std::string& precision, const Recipe& recipe);

/// Whether a weight's layers may be multiplied in bf16: products and convolutions of an fp32 weight on a CPU
/// whose own rounding is well above bf16's, and which nothing else reads.
bool takes_bfloat16(const QuantizationSimModel& sim, const QuantizedWeight& weight);

}  // namespace adascale
