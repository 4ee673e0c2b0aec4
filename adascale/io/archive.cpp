#include "adascale/io/archive.h"

#include <ATen/ops/as_strided.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/io/json_fields.h"

namespace adascale {
namespace {

using caffe2::serialize::PyTorchStreamReader;
using nlohmann::json;

/// `read`, with what torch's zip reader refuses as an objection that begins with `where`.
template <class Read>
auto from_zip(const std::string& where, const Read& read) {
  try {
    return read();
  } catch (const c10::Error& error) {  // boundary: torch's zip reader
    fail("{}: {}", where, first_line(error.what_without_backtrace()));
  }
}

std::unique_ptr<PyTorchStreamReader> open_zip(const MappedFile& file) {
  const bool starts_as_zip = file.size() > 4 && std::memcmp(file.data(), "PK\3\4", 4) == 0;
  ADA_CHECK(starts_as_zip, "{}: not a .pt2 file (not a zip archive); save the model with torch.export.save",
            file.path());
  return from_zip(file.path() + ": the .pt2 archive is truncated or damaged",
                  [&] { return std::make_unique<PyTorchStreamReader>(file.path()); });
}

/// Elements of a view that repeats stored ones, such as an expanded mask: a few bytes of a file must not fill
/// the memory.
constexpr int64_t kMostRepeated = int64_t{1} << 26;

std::vector<int64_t> fixed_ints(const json& sizes, const char* what) {
  std::vector<int64_t> ints;
  for (const json& size : sizes) ints.push_back(read_fixed_int(size, what));
  return ints;
}

/// A strided view of a storage.
struct View {
  int64_t reach = 0;     // elements of the storage from its start on; 0 for a view without elements
  int64_t elements = 0;  // of the view: a stride of 0 repeats stored ones
};

/// Nothing when a number is negative or too large.
std::optional<View> view_of(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
                            int64_t offset) {
  if (offset < 0 || sizes.size() != strides.size()) return std::nullopt;
  int64_t last = offset, elements = 1;
  bool is_empty = false;
  for (size_t d = 0; d < sizes.size(); ++d) {
    int64_t reach = 0;
    if (sizes[d] < 0 || strides[d] < 0) return std::nullopt;
    is_empty |= sizes[d] == 0;
    if (sizes[d] > 0 && __builtin_mul_overflow(sizes[d] - 1, strides[d], &reach)) return std::nullopt;
    if (__builtin_add_overflow(last, reach, &last)) return std::nullopt;
    if (__builtin_mul_overflow(elements, std::max<int64_t>(sizes[d], 1), &elements)) return std::nullopt;
  }
  if (last == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return is_empty ? View{} : View{last + 1, elements};
}

}  // namespace

Archive::Archive(const std::string& path, Mapping mapping)
    : file_(MappedFile::open(path, mapping)), reader_(open_zip(*file_)) {
  ADA_CHECK(!has("serialized_exported_program.json"),
            "{}: saved by an older PyTorch, with pickled weights; save it again with PyTorch 2.13", path);
  ADA_CHECK(has("models/model.json"),
            "{}: not a .pt2 file (it has no models/model.json); save the model with torch.export.save", path);
  ADA_CHECK(!has("byteorder") || text("byteorder") == "little",
            "{}: weights are big-endian, expected little-endian", path);
}

bool Archive::has(const std::string& record) {
  return from_zip(fmt::format("{}: record '{}' is damaged", file_->path(), record),
                  [&] { return reader_->hasRecord(record); });
}

std::string Archive::text(const std::string& record) {
  ADA_CHECK(has(record), "{}: the archive has no record '{}'", file_->path(), record);
  return from_zip(fmt::format("{}: record '{}' is damaged", file_->path(), record), [&] {
    // A compressed record may claim any size, and memory would be taken for it.
    const size_t claimed = reader_->getRecordSize(record);
    ADA_CHECK(
        claimed <= file_->size(),
        "{}: record '{}' has {} bytes in a file of {}, so it is compressed; save with torch.export.save",
        file_->path(), record, claimed, file_->size());
    const auto [data, size] = reader_->getRecord(record);
    return std::string(static_cast<const char*>(data.get()), size);
  });
}

void Archive::read_tensors(const std::string& config, const std::string& folder,
                           std::unordered_map<std::string, at::Tensor>& state) {
  const std::string written = text(config);
  check_nesting(written, fmt::format("{}: '{}'", file_->path(), config));
  std::string name = config;  // of the thing being read
  try {
    const json document = json::parse(written);
    for (const auto& [key, payload] : document.at("config").items()) {
      name = key;
      state[key] = read_tensor(payload, folder);
    }
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("{}: '{}': not as torch.export writes it: {}", file_->path(), name, reason_of(error));
  } catch (const Error& error) {  // boundary: names the tensor
    fail("{}: '{}': {}", file_->path(), name, error.what());
  } catch (const c10::Error& error) {  // boundary: torch's zip reader
    fail("{}: '{}': {}", file_->path(), name, first_line(error.what_without_backtrace()));
  }
}

at::Tensor Archive::read_tensor(const json& payload, const std::string& folder) {
  ADA_CHECK(!payload.at("use_pickle").get<bool>() && payload.at("tensor_meta").is_object(),
            "stored as a pickle, which is never read; export the model with plain tensors only");
  const json& meta = payload.at("tensor_meta");
  const std::string record = folder + payload.at("path_name").get<std::string>();
  at::Tensor& tensor = tensors_[record + meta.dump()];
  if (tensor.defined()) return tensor;
  const auto sizes = fixed_ints(meta.at("sizes"), "sizes"),
             strides = fixed_ints(meta.at("strides"), "strides");
  const int64_t offset = read_fixed_int(meta.at("storage_offset"), "storage_offset");
  const at::Tensor storage = read_storage(record, read_dtype(meta.at("dtype")));
  const std::optional<View> view = view_of(sizes, strides, offset);
  ADA_CHECK(view && view->reach <= storage.numel(), "the tensor reaches beyond its {} stored elements",
            storage.numel());
  ADA_CHECK(view->elements <= std::max(storage.numel(), kMostRepeated),
            "repeats {} stored elements to {}, expected at most {}; export it with .contiguous()",
            storage.numel(), view->elements, kMostRepeated);
  tensor = at::as_strided(storage, sizes, strides, offset).detach();
  const bool requires_grad =
      meta.at("requires_grad").get<bool>() && c10::isFloatingType(tensor.scalar_type());
  tensor.set_requires_grad(requires_grad);
  return tensor;
}

at::Tensor Archive::read_storage(const std::string& record, c10::ScalarType dtype) {
  at::Tensor& storage = storages_[record + c10::toString(dtype)];
  if (storage.defined()) return storage;
  ADA_CHECK(has(record), "the archive has no record '{}'", record);
  const uint64_t size = reader_->getRecordSize(record), offset = reader_->getRecordOffset(record);
  const uint64_t header = reader_->getRecordHeaderOffset(record);
  constexpr uint64_t kMethod = 8;  // of a zip's local header: two bytes, 0 for "stored"
  ADA_CHECK(
      header + kMethod + 2 <= file_->size() && offset <= file_->size() && size <= file_->size() - offset,
      "record '{}' reaches beyond the end of the file: truncated?", record);
  const char* method = file_->data() + header + kMethod;
  ADA_CHECK(method[0] == 0 && method[1] == 0, "record '{}' is compressed; save with torch.export.save",
            record);
  const auto count = static_cast<int64_t>(size / c10::elementSize(dtype));
  return storage = file_->tensor(offset, {count}, dtype);
}

}  // namespace adascale
