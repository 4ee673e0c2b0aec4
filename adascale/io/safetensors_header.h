#pragma once
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// One tensor as the header of a .safetensors file describes it; checked.
struct TensorEntry {
  std::string name;
  c10::ScalarType dtype;
  std::vector<int64_t> sizes;
  uint64_t begin, end;  ///< bytes, from the start of the data
};

/// Reads the JSON header. Entries come in the order of their data, do not overlap and lie inside `data_size`
/// bytes. Throws Error starting with `path` for anything else.
std::vector<TensorEntry> parse_safetensors_header(const std::string& path, const std::string& json,
                                                  uint64_t data_size);

/// "F32" for float; an Error when the format has no name for it.
std::string safetensors_dtype(c10::ScalarType dtype);

}  // namespace adascale
