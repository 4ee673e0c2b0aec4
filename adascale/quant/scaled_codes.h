#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/encoding.h"

namespace adascale {

// What training needs of a weight whose codes stay and whose scales move. Kernels where the weight is on a CPU, its codes
// have up to 8 bits and its rows are channels; else tensor operators.

/// dequantize() in `type`: kFloat, or kBFloat16 rounded from fp32; of the codes' shape and device.
at::Tensor dequantize_as(const Encoding& encoding, c10::ScalarType type);

/// dL/dscale for the gradient of dequantize(), of the codes' shape, fp32 or bf16: the sum of g (code + offset) over the
/// elements of each scale, fp32, of shape Q.
at::Tensor scale_gradient(const Encoding& encoding, const at::Tensor& gradient);

/// dL/dminimum likewise, the sum of g, by tensor operators.
at::Tensor minimum_gradient(const Encoding& encoding, const at::Tensor& gradient);

}  // namespace adascale
