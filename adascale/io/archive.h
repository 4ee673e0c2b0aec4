#pragma once
#include <caffe2/serialize/inline_container.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>

#include "adascale/io/mapped_file.h"

namespace adascale {

/// A .pt2 archive opened for reading: a zip whose records are stored uncompressed, so
/// that tensors can be mapped.
class Archive {
 public:
  /// Throws Error when the file is missing, not a zip, damaged, or not what `torch.export.save` writes today.
  explicit Archive(const std::string& path, Mapping mapping = Mapping::kPrivate);

  bool has(const std::string& record);
  std::string text(const std::string& record);
  /// Tensors of one payload config record ("data/weights/model_weights_config.json") whose files lie in
  /// `folder`. Names that share a file share storage. Adds to `state`.
  void read_tensors(const std::string& config, const std::string& folder,
                    std::unordered_map<std::string, at::Tensor>& state);

 private:
  at::Tensor read_storage(const std::string& record, c10::ScalarType dtype);
  at::Tensor read_tensor(const nlohmann::json& payload, const std::string& folder);

  std::shared_ptr<MappedFile> file_;
  std::unique_ptr<caffe2::serialize::PyTorchStreamReader> reader_;
  std::unordered_map<std::string, at::Tensor>
      tensors_;  // by file and tensor_meta: tied weights are one tensor
  std::unordered_map<std::string, at::Tensor> storages_;  // by file and dtype, flat
};

}  // namespace adascale
