#include <algorithm>
#include <cstring>
#include <set>
#include <type_traits>

#include "adascale/core/error.h"
#include "adascale/io/gguf.h"
#include "adascale/io/gguf_layout.h"

namespace adascale {
namespace {

constexpr uint32_t kMostDims = 4;         // ggml's own limit
constexpr uint64_t kMostItems = 1 << 24;  // of an array: no vocabulary is near it, and each takes 40 bytes

/// Reads a file from its start; no read goes past the end.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : file_(file) {}

  template <class T>
  T number() {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }
  bool boolean() { return number<uint8_t>() != 0; }
  std::string text() {
    const auto length = number<uint64_t>();
    return {take(length), length};
  }
  /// Fails unless `count` items of at least `bytes` bytes fit in the rest of the file: this
  /// bounds what is reserved.
  uint64_t checked_count(const char* what, uint64_t count, uint64_t bytes) const {
    ADA_CHECK(count <= left() / bytes, "{}: announces {} {}, but only {} bytes are left: truncated?",
              file_.path(), count, what, left());
    return count;
  }
  uint64_t at() const { return at_; }
  uint64_t left() const { return file_.size() - at_; }
  const std::string& path() const { return file_.path(); }

 private:
  const char* take(uint64_t bytes) {
    ADA_CHECK(bytes <= left(), "{}: ends within its header, {} bytes from the start: truncated?",
              file_.path(), at_);
    const char* here = file_.data() + at_;
    at_ += bytes;
    return here;
  }

  const MappedFile& file_;
  uint64_t at_ = 0;
};

GgufValue read_value(Cursor& cursor, uint32_t type, const std::string& key);

GgufValue read_array(Cursor& cursor, const std::string& key) {
  auto array = std::make_shared<GgufArray>();
  array->type = cursor.number<uint32_t>();
  ADA_CHECK(array->type != gguf_type_of<std::shared_ptr<GgufArray>>(),
            "{}: '{}' is an array of arrays, which is not read", cursor.path(), key);
  const uint64_t count = cursor.checked_count("array items", cursor.number<uint64_t>(), 1);
  ADA_CHECK(count <= kMostItems, "{}: '{}' has {} items, expected up to {}", cursor.path(), key, count,
            kMostItems);
  for (uint64_t i = 0; i < count; ++i) array->items.push_back(read_value(cursor, array->type, key));
  return array;
}

/// The reader of the alternative with that index.
template <size_t I = 0>
GgufValue read_alternative(Cursor& cursor, uint32_t type, const std::string& key) {
  if constexpr (I < std::variant_size_v<GgufValue>) {
    if (type != I) return read_alternative<I + 1>(cursor, type, key);
    using T = std::variant_alternative_t<I, GgufValue>;
    if constexpr (std::is_same_v<T, bool>)
      return cursor.boolean();
    else if constexpr (std::is_same_v<T, std::string>)
      return cursor.text();
    else if constexpr (std::is_arithmetic_v<T>)
      return cursor.number<T>();
    else
      return read_array(cursor, key);
  }
  fail("{}: '{}' has value type {}, expected 0 to 12", cursor.path(), key, type);
}

GgufValue read_value(Cursor& cursor, uint32_t type, const std::string& key) {
  return read_alternative(cursor, type, key);
}

void check_version(const Cursor& cursor, uint32_t version) {
  ADA_CHECK(version == 2 || version == kGgufVersion,
            "{}: GGUF version {}, expected 2 or 3{}; convert it with llama.cpp's current tools",
            cursor.path(), version, version == kGgufVersion << 24 ? " (it is big-endian)" : "");
}

std::vector<int64_t> read_sizes(Cursor& cursor, const std::string& name) {
  const auto rank = cursor.number<uint32_t>();
  ADA_CHECK(rank <= kMostDims, "{}: tensor '{}' has {} axes, expected up to {}", cursor.path(), name, rank,
            kMostDims);
  std::vector<int64_t> sizes(rank);
  for (uint32_t i = 0; i < rank; ++i) {
    const auto size = cursor.number<uint64_t>();
    ADA_CHECK(size <= INT64_MAX, "{}: tensor '{}' has an impossible shape", cursor.path(), name);
    sizes[rank - 1 - i] = static_cast<int64_t>(size);
  }
  return sizes;
}

uint64_t checked_bytes(const std::string& path, const GgufTensor& tensor) {
  int64_t count = 1;
  bool is_empty = false;
  for (const int64_t size : tensor.sizes) {
    // Strides are products of the other sizes, of a tensor without elements too.
    ADA_CHECK(!__builtin_mul_overflow(count, std::max<int64_t>(size, 1), &count),
              "{}: tensor '{}' has an impossible shape", path, tensor.name);
    is_empty = is_empty || size == 0;
  }
  if (is_empty) count = 0;
  const int64_t row = tensor.sizes.empty() ? 1 : tensor.sizes.back();
  ADA_CHECK(row % tensor.type->block == 0,
            "{}: tensor '{}' is {}, whose blocks of {} do not divide rows of {}", path, tensor.name,
            tensor.type->name, tensor.type->block, row);
  ADA_CHECK(!__builtin_mul_overflow(count / tensor.type->block, tensor.type->bytes, &count),
            "{}: tensor '{}' has an impossible shape", path, tensor.name);
  return static_cast<uint64_t>(count);
}

GgufTensor read_tensor(Cursor& cursor) {
  GgufTensor tensor;
  tensor.name = cursor.text();
  tensor.sizes = read_sizes(cursor, tensor.name);
  const auto type = cursor.number<uint32_t>();
  tensor.type = ggml_type(type);
  ADA_CHECK(tensor.type != nullptr, "{}: tensor '{}' has ggml type {}, which is not known", cursor.path(),
            tensor.name, type);
  tensor.begin = cursor.number<uint64_t>();
  tensor.bytes = checked_bytes(cursor.path(), tensor);
  return tensor;
}

GgufMetadata read_metadata(Cursor& cursor, uint64_t count) {
  GgufMetadata metadata;
  std::set<std::string> keys;
  for (uint64_t i = 0; i < count; ++i) {
    std::string key = cursor.text();
    ADA_CHECK(keys.insert(key).second, "{}: the metadata names '{}' twice", cursor.path(), key);
    const auto type = cursor.number<uint32_t>();
    GgufValue value = read_value(cursor, type, key);
    metadata.emplace_back(std::move(key), std::move(value));
  }
  return metadata;
}

uint64_t read_alignment(const std::string& path, const GgufMetadata& metadata) {
  const GgufValue* value = find_value(metadata, kAlignmentKey);
  if (value == nullptr) return kGgufAlignment;
  const auto* alignment = std::get_if<uint32_t>(value);
  ADA_CHECK(alignment != nullptr && *alignment > 0 && (*alignment & (*alignment - 1)) == 0,
            "{}: {} is no power of two", path, kAlignmentKey);
  return *alignment;
}

/// Turns offsets within the data into offsets in the file.
void place(const std::string& path, GgufFile& file, uint64_t data, uint64_t alignment) {
  std::set<std::string> names;
  const uint64_t size = file.file->size();
  for (GgufTensor& tensor : file.tensors) {
    ADA_CHECK(names.insert(tensor.name).second, "{}: has tensor '{}' twice", path, tensor.name);
    ADA_CHECK(tensor.begin % alignment == 0, "{}: tensor '{}' lies at {}, no multiple of {}", path,
              tensor.name, tensor.begin, alignment);
    ADA_CHECK(data <= size && tensor.begin <= size - data && tensor.bytes <= size - data - tensor.begin,
              "{}: tensor '{}' lies at {}, {} bytes long, outside the file's data: truncated?", path,
              tensor.name, tensor.begin, tensor.bytes);
    tensor.begin += data;
  }
}

}  // namespace

GgufFile read_gguf(const std::string& path, Mapping mapping) {
  GgufFile gguf;
  gguf.file = MappedFile::open(path, mapping);
  Cursor cursor(*gguf.file);
  ADA_CHECK(cursor.left() >= 24 && cursor.number<uint32_t>() == kGgufMagic, "{}: is no GGUF file", path);
  check_version(cursor, cursor.number<uint32_t>());
  // The shortest description of a tensor takes 24 bytes, that of a key 13.
  const uint64_t tensors = cursor.checked_count("tensors", cursor.number<uint64_t>(), 24);
  const uint64_t keys = cursor.checked_count("keys", cursor.number<uint64_t>(), 13);
  gguf.metadata = read_metadata(cursor, keys);
  for (uint64_t i = 0; i < tensors; ++i) gguf.tensors.push_back(read_tensor(cursor));
  const uint64_t alignment = read_alignment(path, gguf.metadata);
  place(path, gguf, padded(cursor.at(), alignment), alignment);
  return gguf;
}

const GgufTensor* GgufFile::find(const std::string& name) const {
  for (const GgufTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

at::Tensor GgufFile::bytes(const GgufTensor& tensor) const {
  return file->tensor(tensor.begin, {static_cast<int64_t>(tensor.bytes)}, c10::ScalarType::Byte);
}

const GgufValue* find_value(const GgufMetadata& metadata, const std::string& key) {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

bool is_same(const GgufValue& a, const GgufValue& b) {
  using Array = std::shared_ptr<GgufArray>;
  if (a.index() != b.index() || !std::holds_alternative<Array>(a)) return a == b;
  const GgufArray &one = *std::get<Array>(a), &other = *std::get<Array>(b);
  return one.type == other.type &&
         std::equal(one.items.begin(), one.items.end(), other.items.begin(), other.items.end(), is_same);
}

void set_value(GgufMetadata& metadata, const std::string& key, GgufValue value) {
  for (auto& [name, old] : metadata)
    if (name == key) return void(old = std::move(value));
  metadata.emplace_back(key, std::move(value));
}

}  // namespace adascale
