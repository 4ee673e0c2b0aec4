#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/io/file_passes.h"
#include "adascale/io/safetensors.h"

// What formats ask of a file that they wrote and read again. Each function throws (user) where the file holds
// something else: where, what was read, what was expected. The cure follows where they are called (export.cpp).
namespace adascale {

/// The same dtype, sizes and bytes. `name`: the tensor's, for the message.
void expect_same(const std::string& path, const std::string& name, const at::Tensor& got,
                 const at::Tensor& expected);
/// Rows `first` to `first + count` of a weight, computed from what a file holds: numbers of the weight's dtype.
using RowsOf = std::function<at::Tensor(int64_t first, int64_t count)>;
/// The numbers of a matrix, some rows at a time: all of them may be as large as the model. 0 is -0.
void expect_rows(const std::string& path, const std::string& name, const RowsOf& got,
                 const at::Tensor& expected);
void expect_finite(const std::string& path, const std::string& name, const at::Tensor& scales);
void expect_metadata(const std::string& path, const std::map<std::string, std::string>& got,
                     const std::map<std::string, std::string>& expected);
/// The file's whole content.
void expect_text(const std::string& path, const std::string& text);
/// What write_json wrote.
void expect_json(const std::string& path, const nlohmann::ordered_json& json);
void expect_copy(const std::string& path, const std::string& source);

/// The tensors of a file, each of which is expected once: a Pass.
class HeldTensors {
 public:
  HeldTensors(std::string path, const std::vector<NamedTensor>& tensors);

  /// The tensor of that name, which is expected from now on no more.
  at::Tensor take(const std::string& name);
  at::Tensor take(const std::string& name, c10::ScalarType dtype, at::IntArrayRef sizes);
  void expect(const std::string& name, const at::Tensor& expected) {
    expect_same(path_, name, take(name), expected);
  }
  /// After the last: nothing else is in the file.
  void expect_no_more() const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Pass pass_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace adascale
