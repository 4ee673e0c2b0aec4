#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace adascale {

/// llama.cpp's name ("gpt-2", "llama-bpe") of how a tokenizer.json splits text before BPE, found by what its
/// pre_tokenizer does. Throws (user), beginning with `path`, where it is none of those known.
std::string gguf_pre_tokenizer(const std::string& path, const nlohmann::json& tokenizer);

}  // namespace adascale
