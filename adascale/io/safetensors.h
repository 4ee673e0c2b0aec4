#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "adascale/io/mapped_file.h"

namespace adascale {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// Reads a .safetensors file; tensors are views of the mapped file (read-only: never write into them), in
/// file order. Every size is checked against the file before use. Errors name the file and the tensor.
std::vector<NamedTensor> read_safetensors(const std::string& path, Mapping mapping = Mapping::kPrivate);

/// The string metadata of a .safetensors file.
std::map<std::string, std::string> read_safetensors_metadata(const std::string& path);

/// A tensor that is made when it is its turn to be written, so that one at a time is in memory.
struct TensorToWrite {
  std::string name;
  c10::ScalarType dtype;
  std::vector<int64_t> sizes;
  std::function<at::Tensor()> make;  ///< of that dtype and these sizes, on any device
};

/// Writes tensors with string metadata, in a Pass. Writes exactly `path`; staging is the caller's task.
void write_safetensors_in_turn(const std::string& path, const std::vector<TensorToWrite>& tensors,
                               const std::map<std::string, std::string>& metadata);
/// The same of contiguous tensors on the host, in one go: a finished block is kept before anyone can end the run.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace adascale
