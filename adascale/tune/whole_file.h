#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "adascale/io/safetensors.h"

namespace adascale {

/// Writes tensors on the host, and a digest of all behind them. Exactly `path` is written; the caller stages it.
void write_whole(const std::string& path, std::vector<NamedTensor> tensors);

/// The file's tensors, mapped, once its digest is right: what follows may trust them. Throws (user) where it is not.
std::map<std::string, at::Tensor> read_whole(const std::string& path);

/// Whether the file is there and its digest is right.
bool is_whole(const std::string& path);

/// Text as a tensor of bytes, and back.
at::Tensor bytes_of(const std::string& text);
std::string text_of(const at::Tensor& bytes);

}  // namespace adascale
