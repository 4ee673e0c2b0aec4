#pragma once
#include <ATen/core/Tensor.h>

namespace adascale {

/// Rows of codes as dense bit streams, low bits first, in int32 words: code i of a row takes
/// the bits from i*bits on, across words where needed. compressed-tensors and GPTQ both
/// store 2 to 8 bits this way.
///
/// `codes`: [rows, n], integers 0..2^bits-1 of any integer dtype; returns int32 [rows,
/// ceil(n*bits/32)], the last word filled up with zeros.
at::Tensor pack_bits(const at::Tensor& codes, int bits);

}  // namespace adascale
