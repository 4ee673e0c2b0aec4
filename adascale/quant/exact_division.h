#pragma once
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

namespace adascale {

/// x / divisor, rounded as IEEE says on every device. CUDA multiplies a tensor by a number's reciprocal instead, which
/// may lose the last bit: scales, and with them files, would differ from the CPU's.
inline at::Tensor divide_exactly(const at::Tensor& x, double divisor) {
  return x / at::full({}, divisor, x.options());
}

}  // namespace adascale
