#include "adascale/formats/gguf/source.h"

#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/gguf/tokenizer.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const GgufArchitecture& known_architecture(const std::string& path, const std::string& name) {
  try {
    return gguf_architecture(name);
  } catch (const Error& error) {  // boundary: says whose it is
    fail("{}: {}", path, error.what());
  }
}

template <class T>
T value_of(const std::string& path, const GgufMetadata& metadata, const std::string& key) {
  const GgufValue* value = find_value(metadata, key);
  const T* found = value == nullptr ? nullptr : std::get_if<T>(value);
  ADA_CHECK(found != nullptr, "{}: its {} is missing, or of another type", path, key);
  return *found;
}

/// Both head counts, from the metadata of either kind of source.
void read_heads(const std::string& path, GgufSource& source) {
  const std::string key = fmt::format("{}.attention.head_count", source.architecture->name);
  source.heads = value_of<uint32_t>(path, source.metadata, key);
  source.kv_heads = find_value(source.metadata, key + "_kv") == nullptr
                        ? source.heads
                        : value_of<uint32_t>(path, source.metadata, key + "_kv");
  ADA_CHECK(source.heads > 0 && source.kv_heads > 0, "{}: {} is 0", path, key);
}

GgufSource open_file(const std::string& path) {
  GgufSource source;
  source.file = read_gguf(path);
  source.metadata = source.file->metadata;
  source.architecture =
      &known_architecture(path, value_of<std::string>(path, source.metadata, "general.architecture"));
  read_heads(path, source);
  return source;
}

std::string class_of(const std::string& path, const json& config) {
  const json names = config.value("architectures", json::array());
  ADA_CHECK(names.is_array() && names.size() == 1 && names[0].is_string(),
            "{}: names no one architecture, expected one class name", path);
  return names[0].get<std::string>();
}

GgufSource open_folder(const std::string& folder) {
  const std::string path = fs::path(folder) / "config.json";
  const json config = read_config(path);
  GgufSource source;
  try {
    source.architecture = &known_architecture(path, class_of(path, config));
    source.metadata = {{"general.architecture", std::string(source.architecture->name)},
                       {"general.type", std::string("model")},
                       {"general.name", fs::absolute(folder).lexically_normal().filename().string()}};
    for (auto& entry : gguf_hyper_parameters(path, *source.architecture, config))
      source.metadata.push_back(std::move(entry));
    for (auto& entry : gguf_tokenizer(folder, config.at("vocab_size").get<int64_t>()))
      source.metadata.push_back(std::move(entry));
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("{}: is no config that is known: {}", path, reason_of(error));
  }
  read_heads(path, source);
  return source;
}

}  // namespace

GgufSource open_gguf_source(const std::string& path) {
  ADA_CHECK(!path.empty(),
            "the model came from no folder and no .gguf; "
            "quantize a transformers folder, or a .gguf, by its path");
  return fs::is_directory(path) ? open_folder(path) : open_file(path);
}

}  // namespace adascale
