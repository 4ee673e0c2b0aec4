#pragma once
#include <cstdint>
#include <string>

#include "adascale/io/gguf.h"

namespace adascale {

/// llama.cpp's tokenizer keys from the folder's tokenizer.json and what stands beside it; `vocabulary`
/// tokens, as many as the embedding has rows. For byte-level BPE whose way of splitting text llama.cpp knows;
/// throws (user), beginning with the file, for others.
GgufMetadata gguf_tokenizer(const std::string& folder, int64_t vocabulary);

}  // namespace adascale
