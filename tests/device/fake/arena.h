#pragma once

#include <cstddef>
#include <map>
#include <mutex>

namespace fake_device {

/// The device's memory, in two ranges of addresses. Device pointers lie in one that must not be
/// accessed; their bytes are at the same offset of the other, which `host` gives to the
/// operators of this folder.
class Arena {
 public:
  static Arena& get();

  /// Memory in which every byte is 0xff, so that floats read before they are written are
  /// NaN. Throws OutOfMemoryError.
  void* take(size_t bytes);
  void give(void* device);

  char* host(const void* device) const { return host_ + (static_cast<const char*>(device) - device_); }
  bool holds(const void* pointer) const;

  /// False if that exceeds the range of addresses.
  bool set_limit(size_t bytes);
  void reset_peak();
  size_t limit() const;
  size_t used() const;
  size_t peak() const;

 private:
  Arena();
  size_t carve(size_t bytes);

  char* device_;
  char* host_;
  mutable std::mutex mutex_;
  std::map<size_t, size_t> free_;  // offset -> bytes
  std::map<size_t, size_t> taken_;
  size_t limit_;
  size_t used_ = 0;
  size_t peak_ = 0;
};

}  // namespace fake_device
