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

  LinearCodes rows(int64_t first, int64_t count) const {
    return {codes.narrow(0, first, count), scale.narrow(0, first, count), zero.narrow(0, first, count)};
  }
};

/// The codes of a weight [out, in] with channels along axis 0, on a grid of plain
/// scales and integer offsets.
LinearCodes linear_codes(const Encoding& encoding);

/// The matrix that they stand for, computed as the simulation computes its weights: in fp32 (fp64 for an fp64
/// weight), then rounded to `dtype`.
at::Tensor dequantize(const LinearCodes& linear, c10::ScalarType dtype);

}  // namespace adascale
