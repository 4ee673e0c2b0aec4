#pragma once
#include <optional>

#include "adascale/formats/format.h"
#include "adascale/formats/gguf/architecture.h"

namespace adascale {

/// The model from which a GGUF is made.
struct GgufSource {
  const GgufArchitecture* architecture = nullptr;
  int64_t heads = 0, kv_heads = 0;
  GgufMetadata metadata = {};         ///< all but the keys that quantizing decides
  std::optional<GgufFile> file = {};  ///< of a .gguf: unquantized tensors are copied from it
};

/// From a .gguf, or a transformers folder of a known architecture. Throws (user) for anything else,
/// and for parts of it without a place in llama.cpp.
GgufSource open_gguf_source(const std::string& path);

}  // namespace adascale
