#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/encoding.h"

namespace adascale {

/// A matrix's codes in the form of files for language models: unsigned, each file with
/// its own kind of zero point.
///   x = scale * (code - zero)
struct LinearCodes {
  at::Tensor codes;  ///< int32 [out, in], 0..2^bits-1
  at::Tensor scale;  ///< fp32 [out, groups]; groups 1 per channel and per tensor
  at::Tensor zero;   ///< int64 [out, groups], 0..2^bits-1
};

/// The codes of a weight [out, in] with channels along axis 0, on a grid of plain
/// scales and integer offsets.
LinearCodes linear_codes(const Encoding& encoding);

}  // namespace adascale
