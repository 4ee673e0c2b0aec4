#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace adascale {

/// The folder for temporary files and its free space: TMPDIR, else /var/tmp, which is on a disk
/// where /tmp may be memory, else /tmp.
struct ScratchRoom {
  std::string folder;
  int64_t bytes = 0;
};
ScratchRoom scratch_room();

/// A temporary file without a name, for tensors that need not stay in memory. It vanishes with
/// the process, however that ends. The system writes its pages to disk when memory is short
/// and reads them back on use.
class ScratchFile : public std::enable_shared_from_this<ScratchFile> {
 public:
  /// In scratch_room()'s folder. Throws (user) when none can be made there.
  static std::shared_ptr<ScratchFile> open();
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;

  /// A copy of a dense tensor, with the same strides, in the file; the copy keeps the file open.
  /// Its room is reused after the last reference to it. Throws (user) when the disk is full.
  at::Tensor copy(const at::Tensor& tensor);
  int64_t size() const { return end_; }  ///< bytes, rooms waiting for reuse included

 private:
  ScratchFile(std::string folder, int descriptor) : folder_(std::move(folder)), descriptor_(descriptor) {}
  struct Room;
  int64_t take(int64_t bytes);
  void give_back(int64_t offset, int64_t bytes);

  std::string folder_;
  int descriptor_;
  std::mutex mutex_;
  int64_t end_ = 0;
  std::map<int64_t, int64_t> free_;  ///< bytes by offset; adjacent rooms are merged
};

}  // namespace adascale
