#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// How ggml stores tensors: rows cut in blocks.
struct GgmlType {
  uint32_t id;
  const char* name;  ///< "Q4_0"
  int64_t block;     ///< elements
  int64_t bytes;     ///< of one block
};

/// Those of ggml's that are in use.
const std::vector<GgmlType>& ggml_types();
/// nullptr when unknown.
const GgmlType* ggml_type(uint32_t id);
/// Throws (internal) on an unknown name.
const GgmlType& ggml_type_named(const std::string& name);

}  // namespace adascale
