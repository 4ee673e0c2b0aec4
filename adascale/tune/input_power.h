#pragma once
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/input_source.h"

namespace adascale {

/// For each of `weights` (indices of the sim's), the mean square of every input channel of its layer over the
/// first `batches` batches of the FP stream: fp32, of a shape that broadcasts to the weight's. What an error
/// in one weight costs in the layer's output grows with it. A layer called twice counts both calls. `source`
/// stands at the block that `plan` runs.
std::vector<at::Tensor> input_power(const QuantizationSimModel& sim, const Plan& plan,
                                    const InputSource& source, const std::vector<int32_t>& weights,
                                    int64_t batches);

}  // namespace adascale
