#pragma once
#include <cstdint>
#include <string>

#include "adascale/io/gguf.h"

namespace adascale {

// The parts of GGUF's layout that reader and writer share.
inline constexpr uint32_t kGgufMagic = 0x46554747;  // "GGUF"
inline constexpr uint32_t kGgufVersion = 3;
inline constexpr uint64_t kGgufAlignment = 32;  // unless the metadata says otherwise
inline constexpr const char* kAlignmentKey = "general.alignment";

/// The index of type T among the alternatives of GgufValue.
template <class T>
uint32_t gguf_type_of() {
  return static_cast<uint32_t>(GgufValue(T{}).index());
}

inline uint64_t padded(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace adascale
