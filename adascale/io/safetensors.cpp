#include "adascale/io/safetensors.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "adascale/core/error.h"
#include "adascale/io/file_passes.h"
#include "adascale/io/mapped_file.h"
#include "adascale/io/safetensors_header.h"
#include "adascale/io/write_error.h"

namespace adascale {
namespace {

constexpr uint64_t kLengthBytes = 8;            // the header's length, little-endian
constexpr uint64_t kLongestHeader = 100000000;  // the limit of the format's reference implementation

/// The JSON header with the tensors' places, in the order of writing.
std::string make_header(const std::vector<TensorToWrite>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const uint64_t elements = c10::multiply_integers(tensor.sizes);
    const uint64_t end = offset + elements * c10::elementSize(tensor.dtype);
    header[tensor.name] = {
        {"dtype", safetensors_dtype(tensor.dtype)}, {"shape", tensor.sizes}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  // Data that starts at a multiple of 8 can be used directly in the mapping.
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void check_names(const std::string& path, const std::vector<TensorToWrite>& tensors) {
  std::set<std::string> names;
  for (const TensorToWrite& tensor : tensors)
    ADA_CHECK(names.insert(tensor.name).second && tensor.name != "__metadata__",
              "{}: tensor name '{}' cannot be written twice", path, tensor.name);
}

std::string read_header(const MappedFile& file) {
  ADA_CHECK(file.size() >= kLengthBytes, "{}: not a .safetensors file: {} bytes", file.path(), file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  ADA_CHECK(length <= kLongestHeader && length <= file.size() - kLengthBytes,
            "{}: not a .safetensors file, or truncated: a header of {} bytes in a file of {}", file.path(),
            length, file.size());
  return std::string(file.data() + kLengthBytes, length);
}

}  // namespace

std::map<std::string, std::string> read_safetensors_metadata(const std::string& path) {
  try {
    const auto header = nlohmann::json::parse(read_header(*MappedFile::open(path, Mapping::kReadOnly)));
    return header.value("__metadata__", std::map<std::string, std::string>());
  } catch (const nlohmann::json::exception& error) {  // boundary: the JSON library
    fail("{}: the .safetensors header is not valid: {}", path, reason_of(error));
  }
}

std::vector<NamedTensor> read_safetensors(const std::string& path, Mapping mapping) {
  const auto file = MappedFile::open(path, mapping);
  const std::string header = read_header(*file);
  const uint64_t start = kLengthBytes + header.size();
  std::vector<NamedTensor> tensors;
  for (const TensorEntry& entry : parse_safetensors_header(path, header, file->size() - start)) {
    tensors.push_back({entry.name, file->tensor(start + entry.begin, entry.sizes, entry.dtype)});
  }
  return tensors;
}

namespace {

void write_tensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                   const std::map<std::string, std::string>& metadata, Pass* pass) {
  check_names(path, tensors);
  const std::string header = make_header(tensors, metadata);
  const uint64_t length = header.size();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&length), kLengthBytes);
  file.write(header.data(), static_cast<std::streamsize>(length));
  for (const TensorToWrite& tensor : tensors) {
    if (!file.good()) break;  // a full disk: the rest need not be made
    const at::Tensor made = tensor.make().detach().cpu().contiguous();
    ADA_ASSERT(made.scalar_type() == tensor.dtype && made.sizes() == at::IntArrayRef(tensor.sizes),
               "tensor '" + tensor.name + "' is not as announced");
    file.write(static_cast<const char*>(made.const_data_ptr()), static_cast<std::streamsize>(made.nbytes()));
    if (pass != nullptr) pass->step();
  }
  file.close();
  ADA_CHECK(file.good(), "{}", write_error(path, errno));
}

}  // namespace

void write_safetensors_in_turn(const std::string& path, const std::vector<TensorToWrite>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  Pass pass = pass_writing(path, tensors.size());
  write_tensors(path, tensors, metadata, &pass);
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> in_turn;
  for (const NamedTensor& named : tensors) {
    const at::Tensor& tensor = named.tensor;
    ADA_ASSERT(tensor.defined() && tensor.is_contiguous() && tensor.is_cpu(),
               "tensor '" + named.name + "' must be contiguous and on the CPU to be written");
    in_turn.push_back({named.name, tensor.scalar_type(), tensor.sizes().vec(), [&tensor] { return tensor; }});
  }
  write_tensors(path, in_turn, metadata, nullptr);
}

}  // namespace adascale
