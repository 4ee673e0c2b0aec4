#include "adascale/tune/whole_file.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/io/digest.h"

namespace adascale {
namespace {

constexpr const char* kDigest = "digest";

std::string digest_of(const std::vector<NamedTensor>& tensors) {
  Digest digest;
  for (const auto& [name, tensor] : tensors) {
    digest.add(name);
    digest.add(tensor);
  }
  return digest.hex();
}

}  // namespace

at::Tensor bytes_of(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

std::string text_of(const at::Tensor& bytes) {
  return {static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(bytes.nbytes())};
}

void write_whole(const std::string& path, std::vector<NamedTensor> tensors) {
  tensors.push_back({kDigest, bytes_of(digest_of(tensors))});
  write_safetensors(path, tensors, {});
}

std::map<std::string, at::Tensor> read_whole(const std::string& path) {
  std::vector<NamedTensor> tensors = read_safetensors(path, Mapping::kReadOnly);
  ADA_CHECK(
      !tensors.empty() && tensors.back().name == kDigest && tensors.back().tensor.scalar_type() == at::kByte,
      "{}: has no digest: it is no file of a checkpoint", path);
  const std::string saved = text_of(tensors.back().tensor);
  tensors.pop_back();
  ADA_CHECK(digest_of(tensors) == saved, "{}: is damaged: its digest differs", path);
  std::map<std::string, at::Tensor> by_name;
  for (NamedTensor& tensor : tensors) by_name.emplace(std::move(tensor.name), std::move(tensor.tensor));
  return by_name;
}

bool is_whole(const std::string& path) {
  if (!std::filesystem::exists(path)) return false;
  try {
    read_whole(path);
    return true;
  } catch (const Error&) {  // boundary: whoever reads the file says why
    return false;
  }
}

}  // namespace adascale
