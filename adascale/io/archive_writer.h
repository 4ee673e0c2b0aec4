#pragma once
#include <ATen/core/Tensor.h>
#include <caffe2/serialize/inline_container.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

namespace adascale {

/// Writes a .pt2 archive record by record, as `torch.export.load` expects it. Errors name the file.
class ArchiveWriter {
 public:
  explicit ArchiveWriter(const std::string& path);

  void write_text(const std::string& record, const std::string& text);
  /// Stores the tensor as `folder/stem_N` and returns its entry of the payload config. Tensors share a record that
  /// stand for the same elements: `original` has the same memory and layout.
  nlohmann::json write_tensor(const std::string& folder, const std::string& stem, const at::Tensor& tensor,
                              const at::Tensor& original, bool is_parameter);
  /// Call it once, last.
  void finish();

 private:
  void write(const std::string& record, const void* data, size_t size);
  void append(const void* data, size_t size);
  void check() const;

  std::string path_;
  std::ofstream file_;
  int error_ = 0;  // errno of the first write that failed
  caffe2::serialize::PyTorchStreamWriter zip_;
  std::unordered_map<std::string, std::string> written_;  // folder and place in memory -> file name
  std::unordered_map<std::string, int> counts_;           // by folder
};

}  // namespace adascale
