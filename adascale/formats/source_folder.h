#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/io/safetensors.h"

namespace adascale {

/// A transformers folder from which a model was loaded: config.json, safetensors
/// and the files beside them.
class SourceFolder {
 public:
  /// Throws (user) when it is not such a folder, one of its files cannot be read, or two of the
  /// shards that transformers loads hold one tensor.
  explicit SourceFolder(const std::string& path);

  const std::string& path() const { return path_; }
  const nlohmann::ordered_json& config() const { return config_; }
  /// Views of the mapped files, in the files' order, sorted by file.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  /// Relative paths of the model's files other than weights: tokenizer, generation config, licence.
  const std::vector<std::string>& companions() const { return companions_; }
  /// Relative paths of weights that transformers does not load: other formats, copies in other precisions.
  const std::vector<std::string>& other_weights() const { return other_weights_; }

 private:
  void sort_files();
  void read_shards();

  std::string path_;
  nlohmann::ordered_json config_;
  std::vector<std::string> shards_;
  std::vector<NamedTensor> tensors_;
  std::vector<std::string> companions_, other_weights_;
};

}  // namespace adascale
