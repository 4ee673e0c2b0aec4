#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "adascale/io/ggml_types.h"
#include "adascale/io/mapped_file.h"

namespace adascale {

struct GgufArray;
/// A value of the metadata; its alternatives are in the order of GGUF's type numbers.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, std::shared_ptr<GgufArray>, uint64_t, int64_t, double>;
/// Values of one type.
struct GgufArray {
  uint32_t type = 0;  ///< the index in GgufValue that all items have
  std::vector<GgufValue> items;
};
/// Keys in file order.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;
/// nullptr when the key is missing.
const GgufValue* find_value(const GgufMetadata& metadata, const std::string& key);
/// Replaces the key's value, or appends it.
void set_value(GgufMetadata& metadata, const std::string& key, GgufValue value);
bool is_same(const GgufValue& a, const GgufValue& b);
/// An array of one type.
template <class T>
GgufValue gguf_array(const std::vector<T>& items) {
  auto array = std::make_shared<GgufArray>();
  array->type = static_cast<uint32_t>(GgufValue(T{}).index());
  for (const T& item : items) array->items.emplace_back(item);
  return array;
}

/// A tensor of a file: its sizes, outermost first (the file has the opposite order), and its place.
struct GgufTensor {
  std::string name;
  std::vector<int64_t> sizes;
  const GgmlType* type;
  uint64_t begin, bytes;  ///< in the file
};

struct GgufFile {
  std::shared_ptr<MappedFile> file;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;

  const GgufTensor* find(const std::string& name) const;
  /// The stored bytes, uint8 [bytes]; a view of the mapped file.
  at::Tensor bytes(const GgufTensor& tensor) const;
};

/// Reads a GGUF file of version 2 or 3, little-endian. Every size is checked against the file before use.
/// Throws (user), beginning with `path`, for anything else.
GgufFile read_gguf(const std::string& path, Mapping mapping = Mapping::kPrivate);

/// A tensor for write_gguf; `bytes` is called when it is written.
struct GgufEntry {
  std::string name;
  std::vector<int64_t> sizes;  ///< outermost first
  const GgmlType* type;
  std::function<at::Tensor()> bytes;  ///< contiguous, on the CPU, of the type's size
};

/// Bytes of a tensor of that type; its last size must be a multiple of the block.
uint64_t gguf_bytes(const GgmlType& type, at::IntArrayRef sizes);

/// Writes version 3, exactly at `path`; staging is the caller's task. Follows an
/// alignment in the metadata.
void write_gguf(const std::string& path, const GgufMetadata& metadata, const std::vector<GgufEntry>& tensors);

}  // namespace adascale
