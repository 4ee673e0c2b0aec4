#include "adascale/io/mapped_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adascale/core/error.h"

namespace adascale {
namespace {

/// The size of an open file; negative, with errno set, when it is not readable as a file.
int64_t file_size(int descriptor) {
  struct stat info {};
  if (fstat(descriptor, &info) != 0) return -1;
  if (S_ISDIR(info.st_mode)) errno = EISDIR;
  return S_ISDIR(info.st_mode) ? -1 : info.st_size;
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path, Mapping mapping) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ADA_CHECK(descriptor >= 0, "{}: cannot be read: {}", path, std::strerror(errno));
  const int64_t size = file_size(descriptor);
  // Writable pages are private copies: an in-place operator on a mapped weight cannot
  // crash or change the file.
  const int access = mapping == Mapping::kPrivate ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = size > 0 ? mmap(nullptr, size, access, MAP_PRIVATE, descriptor, 0) : nullptr;
  const int error = errno;
  ::close(descriptor);
  ADA_CHECK(size != 0, "{}: the file is empty", path);
  ADA_CHECK(size > 0 && data != MAP_FAILED, "{}: cannot be read: {}", path, std::strerror(error));
  return std::shared_ptr<MappedFile>(new MappedFile(path, static_cast<char*>(data), size));
}

MappedFile::~MappedFile() {
  munmap(data_, size_);
}

at::Tensor MappedFile::tensor(uint64_t offset, c10::IntArrayRef sizes, c10::ScalarType dtype) const {
  const auto options = at::TensorOptions(dtype);
  if (c10::multiply_integers(sizes) == 0) return at::empty(sizes, options);
  if (offset % c10::elementSize(dtype) != 0) {
    at::Tensor copy = at::empty(sizes, options);
    std::memcpy(copy.data_ptr(), data_ + offset, copy.nbytes());
    return copy;
  }
  return at::from_blob(
      data_ + offset, sizes, [keep = shared_from_this()](void*) {}, options);
}

}  // namespace adascale
