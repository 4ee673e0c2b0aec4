#include "adascale/formats/gguf/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/formats/gguf/pre_tokenizer.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// llama.cpp's token types.
constexpr int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

std::optional<std::string> read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// An empty object if the file is missing.
json read_json(const fs::path& path) {
  const auto text = read_text(path);
  if (!text) return json::object();
  json values = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  ADA_CHECK(values.is_object(), "{}: is no JSON object", path.string());
  return values;
}

struct Tokens {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
};

void place(Tokens& tokens, const std::string& path, const std::string& text, int64_t id, int32_t type) {
  ADA_CHECK(id >= 0 && id < static_cast<int64_t>(tokens.texts.size()),
            "{}: token '{}' has number {}, but the embedding has {} rows", path, text, id,
            tokens.texts.size());
  tokens.texts[id] = text;
  tokens.types[id] = type;
}

Tokens read_tokens(const std::string& path, const json& tokenizer, int64_t vocabulary) {
  Tokens tokens;
  for (int64_t id = 0; id < vocabulary; ++id) tokens.texts.push_back(fmt::format("[PAD{}]", id));
  tokens.types.assign(vocabulary, kUnused);
  for (const auto& [text, id] : tokenizer.at("model").at("vocab").items())
    place(tokens, path, text, id.get<int64_t>(), kNormal);
  for (const json& token : tokenizer.value("added_tokens", json::array()))
    place(tokens, path, token.at("content"), token.at("id").get<int64_t>(),
          token.value("special", false) ? kControl : kUserDefined);
  return tokens;
}

/// Pairs, or in older files "first second".
std::vector<std::string> read_merges(const json& tokenizer) {
  std::vector<std::string> merges;
  for (const json& merge : tokenizer.at("model").at("merges"))
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
  return merges;
}

/// Whether text begins with the special token that the post-processor puts there.
bool adds_bos(const json& tokenizer, const json& config) {
  if (config.contains("add_bos_token") && config["add_bos_token"].is_boolean())
    return config["add_bos_token"].get<bool>();
  json processors = json::array({tokenizer.value("post_processor", json())});
  if (processors[0].is_object() && processors[0].contains("processors"))
    processors = json(processors[0]["processors"]);
  for (const json& processor : processors)
    if (processor.is_object() && processor.value("type", "") == "TemplateProcessing")
      return !processor.at("single").empty() && processor.at("single").at(0).contains("SpecialToken");
  return false;
}

/// A number, or the first of a list.
std::optional<uint32_t> as_id(const json& values, const std::string& key) {
  if (!values.contains(key)) return std::nullopt;
  const json& value = values[key].is_array() && !values[key].empty() ? values[key].at(0) : values[key];
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint32_t>();
}

/// The id in generate()'s config; else that of the text in the tokenizer's config, a string or an
/// object; else the id in the model's config.
std::optional<uint32_t> special_id(const std::string& kind, const Tokens& tokens, const json& generation,
                                   const json& config, const json& model) {
  if (const auto id = as_id(generation, kind + "_token_id")) return id;
  const json token = config.value(kind + "_token", json());
  const json text = token.is_object() ? token.value("content", json()) : token;
  for (size_t id = 0; text.is_string() && id < tokens.texts.size(); ++id)
    if (tokens.texts[id] == text.get<std::string>()) return static_cast<uint32_t>(id);
  return as_id(model, kind + "_token_id");
}

std::optional<std::string> chat_template(const fs::path& folder, const json& config) {
  if (auto text = read_text(folder / "chat_template.jinja")) return text;
  if (config.contains("chat_template") && config["chat_template"].is_string())
    return config["chat_template"].get<std::string>();
  return std::nullopt;
}

GgufMetadata make_metadata(const fs::path& folder, const std::string& path, const json& tokenizer,
                           int64_t vocabulary) {
  const json config = read_json(folder / "tokenizer_config.json"), model = read_json(folder / "config.json"),
             generation = read_json(folder / "generation_config.json");
  ADA_CHECK(tokenizer.at("model").value("type", "") == "BPE",
            "{}: its model is {}, not BPE; quantize a .gguf that llama.cpp made of the folder", path,
            tokenizer.at("model").value("type", "unnamed"));
  const Tokens tokens = read_tokens(path, tokenizer, vocabulary);
  GgufMetadata metadata = {{"tokenizer.ggml.model", std::string("gpt2")},
                           {"tokenizer.ggml.pre", gguf_pre_tokenizer(path, tokenizer)},
                           {"tokenizer.ggml.tokens", gguf_array(tokens.texts)},
                           {"tokenizer.ggml.token_type", gguf_array(tokens.types)},
                           {"tokenizer.ggml.merges", gguf_array(read_merges(tokenizer))}};
  const std::pair<const char*, const char*> kinds[] = {
      {"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"pad", "padding"}};
  for (const auto& [kind, key] : kinds)
    if (const auto id = special_id(kind, tokens, generation, config, model))
      metadata.emplace_back(fmt::format("tokenizer.ggml.{}_token_id", key), *id);
  metadata.emplace_back("tokenizer.ggml.add_bos_token", adds_bos(tokenizer, config));
  if (const auto chat = chat_template(folder, config))
    metadata.emplace_back("tokenizer.chat_template", *chat);
  return metadata;
}

}  // namespace

GgufMetadata gguf_tokenizer(const std::string& folder, int64_t vocabulary) {
  const std::string path = fs::path(folder) / "tokenizer.json";
  ADA_CHECK(fs::exists(path), "{}: is missing; llama.cpp's file carries the tokenizer", path);
  try {
    return make_metadata(folder, path, read_json(path), vocabulary);
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("{}: is no tokenizer that is known: {}", path, reason_of(error));
  }
}

}  // namespace adascale
