#pragma once
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "adascale/formats/encodings/record.h"

// One tensor's encoding in each layout of AIMET's files (aimet-torch 2.42).
namespace adascale {

/// A list with one object per scale, in the parameter's own order: 0.6.1, and every `_torch.encodings`.
///   {"bitwidth", "dtype", "is_symmetric", "max", "min", "offset", "scale"}
void write_legacy_entries(std::ostream& out, const EncodingRecord& record);
/// The one entry of an activation.
nlohmann::json legacy_entry(const EncodingRecord& record);

/// {"name", "enc_type", "dtype", "bw", "is_sym", "scale", "offset", ...}.
nlohmann::json entry_1_0_0(const EncodingRecord& record);

/// The fields of ONNX's QuantizeLinear: {"name", "output_dtype", "y_scale", ...}; LPBQ
/// differs in 2.0.0 and 2.1.0.
nlohmann::json entry_2(const EncodingRecord& record, const std::string& version);

}  // namespace adascale
