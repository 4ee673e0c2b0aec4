#pragma once
#include <ATen/core/Tensor.h>

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

/// Writes contiguous tensors with string metadata. Writes exactly `path`; staging is the caller's task.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace adascale
