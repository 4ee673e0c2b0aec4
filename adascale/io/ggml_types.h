#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// A storage type of ggml: rows are cut into blocks.
struct GgmlType {
  uint32_t id;
  const char* name;  ///< "Q4_0"
  int64_t block;     ///< elements
  int64_t bytes;     ///< of one block
};

/// The types of ggml that are in use.
const std::vector<GgmlType>& ggml_types();
/// nullptr when unknown.
const GgmlType* ggml_type(uint32_t id);
/// Throws (internal) on an unknown name.
const GgmlType& ggml_type_named(const std::string& name);

}  // namespace adascale
