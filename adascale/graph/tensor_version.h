#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace adascale {

/// The number of in-place writes to a tensor; inference tensors do not count them.
inline int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : tensor._version();
}

}  // namespace adascale
