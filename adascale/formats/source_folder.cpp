#include "adascale/formats/source_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// Weights of the unquantized model, in whatever format.
bool is_weight_file(const fs::path& file) {
  constexpr std::array kSuffixes = {".safetensors", ".gguf", ".bin",     ".pt", ".pth", ".ckpt",   ".onnx",
                                    ".onnx_data",   ".data", ".msgpack", ".h5", ".ot",  ".tflite", ".pb"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), file.extension()) != kSuffixes.end();
}

bool is_hidden(const fs::path& file) {
  return file.filename().string().starts_with('.');
}

/// All files below the folder that are not hidden, relative and sorted.
std::vector<fs::path> files_below(const std::string& path) {
  std::vector<fs::path> files;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(path, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) {
    if (is_hidden(entry->path()))
      entry.disable_recursion_pending();
    else if (entry->is_regular_file(error))
      files.push_back(entry->path().lexically_relative(path));
  }
  ADA_CHECK(!error, "{}: cannot be listed: {}", path, error.message());
  std::sort(files.begin(), files.end());
  return files;
}

/// The shards that transformers loads: those of the index, else model.safetensors, else all at the top.
std::vector<std::string> shards_of(const std::string& path, const std::vector<fs::path>& files) {
  const fs::path index = fs::path(path) / "model.safetensors.index.json";
  if (fs::exists(fs::path(path) / "model.safetensors")) return {"model.safetensors"};
  std::set<std::string> shards;
  if (fs::exists(index)) {
    std::ifstream in(index);
    const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
    ADA_CHECK(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(),
              "{}: has no weight_map", index.string());
    for (const auto& [name, shard] : json["weight_map"].items())
      if (shard.is_string() && fs::path(shard.get<std::string>()).filename() == shard.get<std::string>())
        shards.insert(shard.get<std::string>());
  } else {
    for (const fs::path& file : files)
      if (file.extension() == ".safetensors" && !file.has_parent_path()) shards.insert(file.string());
  }
  return {shards.begin(), shards.end()};
}

}  // namespace

SourceFolder::SourceFolder(const std::string& path) : path_(path) {
  ADA_CHECK(fs::is_directory(path), "{}: not a folder; expected a transformers model folder", path);
  config_ = read_config((fs::path(path) / "config.json").string());
  sort_files();
  read_shards();
}

void SourceFolder::sort_files() {
  const std::vector<fs::path> files = files_below(path_);
  shards_ = shards_of(path_, files);
  for (const fs::path& file : files) {
    if (file == "config.json" || std::count(shards_.begin(), shards_.end(), file.string())) continue;
    if (file.filename().string().ends_with(".safetensors.index.json")) continue;
    (is_weight_file(file) ? other_weights_ : companions_).push_back(file.string());
  }
}

void SourceFolder::read_shards() {
  std::map<std::string, std::string> holders;
  for (const std::string& shard : shards_)
    for (NamedTensor& tensor : read_safetensors((fs::path(path_) / shard).string())) {
      const auto [holder, is_new] = holders.emplace(tensor.name, shard);
      ADA_CHECK(is_new, "{}: {} and {} both hold '{}'; leave the shards that transformers loads", path_,
                holder->second, shard, tensor.name);
      tensors_.push_back(std::move(tensor));
    }
  ADA_CHECK(!tensors_.empty(), "{}: holds no .safetensors", path_);
}

}  // namespace adascale
