#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace adascale {

/// llama.cpp's name ("gpt-2", "llama-bpe") for the way in which a tokenizer.json splits text
/// before BPE, found by the behavior of its pre_tokenizer. Throws (user), beginning with `path`,
/// where no known one matches.
std::string gguf_pre_tokenizer(const std::string& path, const nlohmann::json& tokenizer);

}  // namespace adascale
