#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace adascale {

/// kPrivate: writing into it never reaches the file; the system counts it as memory. kReadOnly: writing into it
/// crashes; only pages that are read take memory, and can be dropped.
enum class Mapping { kPrivate, kReadOnly };

/// A whole file in memory, paged in as it is read.
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  /// Throws Error when the file is missing, a folder, empty or unreadable.
  static std::shared_ptr<MappedFile> open(const std::string& path, Mapping mapping = Mapping::kPrivate);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  const char* data() const { return data_; }

  /// A contiguous tensor over the bytes from `offset` on; it keeps the file mapped. The caller has
  /// checked that it lies inside. An unaligned offset gives a copy.
  at::Tensor tensor(uint64_t offset, c10::IntArrayRef sizes, c10::ScalarType dtype) const;

 private:
  MappedFile(std::string path, char* data, uint64_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  char* data_;
  uint64_t size_;
};

}  // namespace adascale
