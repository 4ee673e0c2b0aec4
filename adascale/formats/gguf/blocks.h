#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/formats/gguf/types.h"
#include "adascale/quant/encoding.h"

namespace adascale {

/// The weight's codes, scales and minima in ggml's layout: uint8 [out, bytes of a row]. The
/// encoding is [out, in] on the type's grid.
at::Tensor pack_gguf(const Encoding& encoding, const GgufGrid& type);
/// Such rows as ggml dequantizes them: fp32 [out, in] (unpack.cpp).
at::Tensor unpack_gguf(const at::Tensor& rows, const GgufGrid& type);

}  // namespace adascale
