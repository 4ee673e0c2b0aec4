#pragma once
#include <optional>

#include "adascale/formats/format.h"
#include "adascale/formats/gguf/architecture.h"

namespace adascale {

/// The model that a GGUF is made from.
struct GgufSource {
  const GgufArchitecture* architecture = nullptr;
  int64_t heads = 0, kv_heads = 0;
  GgufMetadata metadata = {};         ///< all but what quantizing decides
  std::optional<GgufFile> file = {};  ///< of a .gguf: the tensors that are not quantized are copied from it
};

/// From a .gguf, or a transformers folder of a known architecture. Throws (user) for what is neither, and for
/// what of it llama.cpp has no place for.
GgufSource open_gguf_source(const std::string& path);

}  // namespace adascale
