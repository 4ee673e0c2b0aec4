#pragma once
#include <cstdint>
#include <string>

#include "adascale/io/gguf.h"

namespace adascale {

/// llama.cpp's tokenizer keys from the folder's tokenizer.json and the files beside it;
/// `vocabulary` tokens, the number of the embedding's rows. For byte-level BPE whose way of
/// splitting text llama.cpp knows; throws (user), beginning with the file, for others.
GgufMetadata gguf_tokenizer(const std::string& folder, int64_t vocabulary);

}  // namespace adascale
