#pragma once
#include <ATen/core/Tensor.h>

namespace adascale {

/// Rows of codes as dense streams of bits, low bits first, in int32 words: code i of a row takes the bits
/// i*bits and on, across words where it must. What compressed-tensors and GPTQ store, of 2 to 8 bits alike.
///
/// `codes`: [rows, n], integers 0..2^bits-1 of any integer dtype; returns int32 [rows, ceil(n*bits/32)], the
/// last word filled up with zeros.
at::Tensor pack_bits(const at::Tensor& codes, int bits);

}  // namespace adascale
