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
/// The words of a row of n codes.
int64_t words_of(int64_t n, int bits);
/// The codes again: int32 [rows, n].
at::Tensor unpack_bits(const at::Tensor& words, int bits, int64_t n);

}  // namespace adascale
