#include "adascale/io/scratch_file.h"

#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "adascale/core/error.h"

namespace adascale {
namespace {

/// Rooms are mapped one by one, and a mapping begins at a page.
int64_t whole_pages(int64_t bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

int open_unnamed(const std::string& folder) {
  std::string path = folder + "/adascale-XXXXXX";
  const int descriptor = mkostemp(path.data(), O_CLOEXEC);
  if (descriptor >= 0) unlink(path.c_str());
  return descriptor;
}

}  // namespace

ScratchRoom scratch_room() {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  ADA_CHECK(!error, "TMPDIR: no folder for temporary files: {}; point it to one", error.message());
  const auto space = std::filesystem::space(folder, error);
  return {folder, error ? 0 : static_cast<int64_t>(space.available)};
}

std::shared_ptr<ScratchFile> ScratchFile::open() {
  const std::string folder = scratch_room().folder;
  const int descriptor = open_unnamed(folder);
  ADA_CHECK(descriptor >= 0, "{}: no temporary file can be made there: {}; point TMPDIR to another folder",
            folder, std::strerror(errno));
  return std::shared_ptr<ScratchFile>(new ScratchFile(folder, descriptor));
}

ScratchFile::~ScratchFile() {
  close(descriptor_);
}

int64_t ScratchFile::take_room(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  std::vector<int64_t>& rooms = free_[bytes];
  if (!rooms.empty()) {
    const int64_t room = rooms.back();
    rooms.pop_back();
    return room;
  }
  // Reserved on the disk now: a full disk would otherwise kill the process when a page is written.
  const int error = posix_fallocate(descriptor_, end_, bytes);
  ADA_CHECK(
      error == 0,
      "{}: a temporary file of {} MiB cannot grow by {} MiB: {}; point TMPDIR to another folder, or use "
      "fewer samples",
      folder_, end_ >> 20, bytes >> 20, std::strerror(error));
  end_ += bytes;
  return end_ - bytes;
}

void ScratchFile::give_back(int64_t offset, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_[bytes].push_back(offset);
}

at::Tensor ScratchFile::copy(const at::Tensor& tensor) {
  ADA_ASSERT(tensor.is_non_overlapping_and_dense() && tensor.is_cpu(), "only dense CPU tensors have a copy");
  const auto used = static_cast<int64_t>(tensor.nbytes());
  const int64_t bytes = whole_pages(used), offset = take_room(bytes);
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, offset);
  if (data == MAP_FAILED) {
    const int error = errno;
    give_back(offset, bytes);
    fail("{}: {} MiB of a temporary file cannot be mapped: {}", folder_, bytes >> 20, std::strerror(error));
  }
  std::memcpy(data, tensor.const_data_ptr(), used);
  const auto release = [keep = shared_from_this(), offset, bytes](void* mapped) {
    munmap(mapped, bytes);
    keep->give_back(offset, bytes);
  };
  return at::from_blob(data, tensor.sizes(), tensor.strides(), release, tensor.options());
}

}  // namespace adascale
