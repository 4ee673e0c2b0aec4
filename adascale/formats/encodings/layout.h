#pragma once
#include "adascale/formats/encodings/reader.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

/// The weight `source` with the bits, symmetry and scales of a file's entry,
/// rounded to the nearest codes.
///
/// The entry says what a scale belongs to (tensor, channel, block, integer of an LPBQ block);
/// where it leaves that open, the simulation decides. Throws Error (user) when the scales do
/// not fit the weight's shape.
Encoding encoding_from(const FileEntry& entry, const QuantizedWeight& weight, const at::Tensor& source);

/// Turns the entry of a matrix [in, out] into one of its transpose [out, in],
/// with that many channels out.
FileEntry transposed(FileEntry entry, int64_t channels);

}  // namespace adascale
