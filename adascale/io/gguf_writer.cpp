#include <cerrno>
#include <fstream>
#include <set>
#include <type_traits>

#include "adascale/core/error.h"
#include "adascale/io/file_passes.h"
#include "adascale/io/gguf.h"
#include "adascale/io/gguf_layout.h"
#include "adascale/io/write_error.h"

namespace adascale {
namespace {

class Output {
 public:
  explicit Output(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc) {}

  void bytes(const void* data, uint64_t count) {
    file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(count));
    at_ += count;
  }
  template <class T>
  void number(T value) {
    bytes(&value, sizeof(T));
  }
  void text(const std::string& text) {
    number<uint64_t>(text.size());
    bytes(text.data(), text.size());
  }
  void value(const GgufValue& value) {
    std::visit([&](const auto& alternative) { put(alternative); }, value);
  }
  void pad(uint64_t alignment) {
    const std::string zeros(padded(at_, alignment) - at_, '\0');
    bytes(zeros.data(), zeros.size());
  }
  bool close() {
    file_.close();
    return file_.good();
  }

 private:
  void put(const std::string& value) { text(value); }
  void put(bool value) { number<uint8_t>(value ? 1 : 0); }
  void put(const std::shared_ptr<GgufArray>& array) {
    number(array->type);
    number<uint64_t>(array->items.size());
    for (const GgufValue& item : array->items) value(item);
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void put(T value) { number(value); }

  std::ofstream file_;
  uint64_t at_ = 0;
};

void write_description(Output& out, const GgufEntry& tensor, uint64_t offset) {
  out.text(tensor.name);
  out.number(static_cast<uint32_t>(tensor.sizes.size()));
  for (auto size = tensor.sizes.rbegin(); size != tensor.sizes.rend(); ++size)
    out.number(static_cast<uint64_t>(*size));
  out.number(tensor.type->id);
  out.number(offset);
}

void check_entries(const std::string& path, const std::vector<GgufEntry>& tensors) {
  std::set<std::string> names;
  for (const GgufEntry& tensor : tensors)
    ADA_CHECK(names.insert(tensor.name).second, "{}: tensor name '{}' cannot be written twice", path,
              tensor.name);
}

}  // namespace

uint64_t gguf_bytes(const GgmlType& type, at::IntArrayRef sizes) {
  const int64_t count = c10::multiply_integers(sizes);
  ADA_ASSERT(count % type.block == 0 && (sizes.empty() || sizes.back() % type.block == 0),
             "rows that are no whole blocks");
  return static_cast<uint64_t>(count / type.block * type.bytes);
}

void write_gguf(const std::string& path, const GgufMetadata& metadata,
                const std::vector<GgufEntry>& tensors) {
  check_entries(path, tensors);
  const GgufValue* given = find_value(metadata, kAlignmentKey);
  const uint64_t alignment = given == nullptr ? kGgufAlignment : std::get<uint32_t>(*given);
  Output out(path);
  out.number(kGgufMagic);
  out.number(kGgufVersion);
  out.number<uint64_t>(tensors.size());
  out.number<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    out.text(key);
    out.number(static_cast<uint32_t>(value.index()));
    out.value(value);
  }
  uint64_t offset = 0;
  for (const GgufEntry& tensor : tensors) {
    write_description(out, tensor, offset);
    offset += padded(gguf_bytes(*tensor.type, tensor.sizes), alignment);
  }
  Pass pass = pass_writing(path, tensors.size());
  for (const GgufEntry& tensor : tensors) {
    out.pad(alignment);
    const at::Tensor data = tensor.bytes();
    ADA_ASSERT(
        data.is_contiguous() && data.is_cpu() && data.nbytes() == gguf_bytes(*tensor.type, tensor.sizes),
        "tensor '" + tensor.name + "' is not of its type's size");
    out.bytes(data.const_data_ptr(), data.nbytes());
    pass.step();
  }
  out.pad(alignment);
  ADA_CHECK(out.close(), "{}", write_error(path, errno));
}

}  // namespace adascale
