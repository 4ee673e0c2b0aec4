#include "adascale/formats/source_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "adascale/core/error.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// Weights of the unquantized model in other shapes, and the index of its shards.
bool is_weight_file(const fs::path& file) {
  constexpr std::array kSuffixes = {".safetensors", ".gguf", ".bin",     ".pt", ".pth", ".ckpt",   ".onnx",
                                    ".onnx_data",   ".data", ".msgpack", ".h5", ".ot",  ".tflite", ".pb"};
  const bool is_index = file.filename().string().ends_with(".safetensors.index.json");
  return is_index || std::find(kSuffixes.begin(), kSuffixes.end(), file.extension()) != kSuffixes.end();
}

bool is_hidden(const fs::path& file) {
  return file.filename().string().starts_with('.');
}

nlohmann::ordered_json read_config(const std::string& path) {
  std::ifstream in(path);
  ADA_CHECK(in, "{}: cannot be opened; expected a transformers model folder", path);
  const auto config = nlohmann::ordered_json::parse(in, nullptr, /*allow_exceptions=*/false);
  ADA_CHECK(config.is_object(), "{}: no JSON object; expected a transformers config", path);
  return config;
}

}  // namespace

SourceFolder::SourceFolder(const std::string& path) : path_(path) {
  ADA_CHECK(fs::is_directory(path), "{}: not a folder; expected a transformers model folder", path);
  config_ = read_config((fs::path(path) / "config.json").string());
  std::vector<fs::path> files;
  for (auto entry = fs::recursive_directory_iterator(path); entry != fs::end(entry); ++entry) {
    if (is_hidden(entry->path()))
      entry.disable_recursion_pending();
    else if (entry->is_regular_file())
      files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const bool is_shard = file.extension() == ".safetensors" && file.parent_path() == fs::path(path);
    if (is_shard)
      for (NamedTensor& tensor : read_safetensors(file.string())) tensors_.push_back(std::move(tensor));
    else if (!is_weight_file(file) && file.filename() != "config.json")
      companions_.push_back(file.lexically_relative(path).string());
  }
  ADA_CHECK(!tensors_.empty(), "{}: holds no .safetensors", path);
}

}  // namespace adascale
