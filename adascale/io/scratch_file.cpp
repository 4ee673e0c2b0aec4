#include "adascale/io/scratch_file.h"

#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "adascale/core/error.h"

namespace adascale {
namespace {

/// Rooms are mapped one by one, and a mapping begins at a page boundary.
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
  namespace fs = std::filesystem;
  const char* chosen = std::getenv("TMPDIR");
  std::error_code error;
  fs::path folder = chosen ? chosen : "/var/tmp";
  if (!chosen && !fs::is_directory(folder, error)) folder = "/tmp";
  ADA_CHECK(fs::is_directory(folder, error), "TMPDIR: {} is no folder; point it to one for temporary files",
            folder.string());
  const auto space = fs::space(folder, error);
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

/// A mapped part of the file, in use until it is given back.
struct ScratchFile::Room {
  std::shared_ptr<ScratchFile> file;
  int64_t bytes, offset;
  void* data = MAP_FAILED;

  Room(std::shared_ptr<ScratchFile> of, int64_t wanted)
      : file(std::move(of)), bytes(wanted), offset(file->take(wanted)) {
    data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->descriptor_, offset);
  }
  Room(const Room&) = delete;
  ~Room() {
    if (data != MAP_FAILED) munmap(data, bytes);
    file->give_back(offset, bytes);
  }
};

int64_t ScratchFile::take(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto fits = [bytes](const auto& room) { return room.second >= bytes; };
  if (const auto found = std::find_if(free_.begin(), free_.end(), fits); found != free_.end()) {
    const auto [offset, size] = *found;
    free_.erase(found);
    if (size > bytes) free_[offset + bytes] = size - bytes;
    return offset;
  }
  // Disk space is reserved now: on a full disk the first write to a page would kill the process.
  const int error = posix_fallocate(descriptor_, end_, bytes);
  ADA_CHECK(error == 0,
            "{}: a temporary file of {} MiB cannot grow by {} MiB: {}; "
            "point TMPDIR to another folder, or use fewer samples",
            folder_, end_ >> 20, bytes >> 20, std::strerror(error));
  end_ += bytes;
  return end_ - bytes;
}

void ScratchFile::give_back(int64_t offset, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto after = free_.lower_bound(offset);
  if (after != free_.end() && after->first == offset + bytes) {
    bytes += after->second;
    free_.erase(after);
  }
  const auto before = free_.lower_bound(offset);
  if (before != free_.begin() && std::prev(before)->first + std::prev(before)->second == offset)
    std::prev(before)->second += bytes;
  else
    free_[offset] = bytes;
}

at::Tensor ScratchFile::copy(const at::Tensor& tensor) {
  ADA_ASSERT(tensor.is_non_overlapping_and_dense() && tensor.is_cpu(), "only dense CPU tensors have a copy");
  const auto used = static_cast<int64_t>(tensor.nbytes());
  const auto room = std::make_shared<Room>(shared_from_this(), whole_pages(used));
  ADA_CHECK(room->data != MAP_FAILED, "{}: {} MiB of a temporary file cannot be mapped: {}", folder_,
            room->bytes >> 20, std::strerror(errno));
  std::memcpy(room->data, tensor.const_data_ptr(), used);
  return at::from_blob(
      room->data, tensor.sizes(), tensor.strides(), [room](void*) {}, tensor.options());
}

}  // namespace adascale
