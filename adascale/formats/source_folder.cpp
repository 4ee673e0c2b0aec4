#include "adascale/formats/source_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// The shards that transformers loads: those of the index, else model.safetensors,
/// else all in the top folder.
std::vector<std::string> shards_of(const std::string& path, const std::vector<std::string>& weights) {
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
    for (const fs::path file : weights)
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
  const ModelFiles files = list_model_files(path_);
  shards_ = shards_of(path_, files.weights);
  for (const std::string& file : files.weights)
    if (std::count(shards_.begin(), shards_.end(), file) == 0) other_weights_.push_back(file);
  for (const std::string& file : files.companions)
    if (file != "config.json" && !file.ends_with(".safetensors.index.json")) companions_.push_back(file);
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
