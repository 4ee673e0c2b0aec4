#include "device/fake/arena.h"

#include <c10/core/Allocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "device/fake/fake_device.h"

namespace fake_device {
namespace {

// Address space, not memory: pages come when they are written.
constexpr size_t kArenaBytes = size_t{64} << 30;
constexpr size_t kDefaultLimit = size_t{16} << 30;
constexpr size_t kBlock = 512;  // as CUDA's caching allocator rounds

char* reserve(int protection) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* at = mmap(nullptr, kArenaBytes, protection, kFlags, -1, 0);
  TORCH_CHECK(at != MAP_FAILED, "fake device: mmap failed: ", std::strerror(errno));
  return static_cast<char*>(at);
}

}  // namespace

Arena& Arena::get() {
  static auto* arena = new Arena;  // outlives every tensor
  return *arena;
}

Arena::Arena() : device_(reserve(PROT_NONE)), host_(reserve(PROT_READ | PROT_WRITE)), limit_(kDefaultLimit) {
  free_[0] = kArenaBytes;
  const char* bytes = std::getenv("FAKE_DEVICE_BYTES");
  TORCH_CHECK(bytes == nullptr || set_limit(std::stoull(bytes)), "FAKE_DEVICE_BYTES: got ", bytes,
              ", expected at most ", kArenaBytes);
}

void* Arena::take(size_t bytes) {
  if (bytes == 0) return nullptr;
  const size_t room = (bytes + kBlock - 1) / kBlock * kBlock;
  const std::lock_guard lock(mutex_);
  if (used_ + room > limit_) {
    const auto size = [](size_t n) { return c10::CachingAllocator::format_size(n); };
    const size_t left = limit_ - std::min(used_, limit_);
    TORCH_CHECK_WITH(OutOfMemoryError, false, "fake device out of memory. Tried to allocate ", size(bytes),
                     ". fake:0 has a total capacity of ", size(limit_), " of which ", size(left),
                     " is free. ", size(used_), " is in use.");
  }
  const size_t at = carve(room);
  taken_[at] = room;
  used_ += room;
  peak_ = std::max(peak_, used_);
  std::memset(host_ + at, 0xff, room);
  return device_ + at;
}

size_t Arena::carve(size_t bytes) {
  const auto fits = [&](const auto& gap) { return gap.second >= bytes; };
  const auto gap = std::find_if(free_.begin(), free_.end(), fits);
  TORCH_CHECK_WITH(OutOfMemoryError, gap != free_.end(), "fake device out of memory: fragmented");
  const auto [at, room] = *gap;
  free_.erase(gap);
  if (room > bytes) free_[at + bytes] = room - bytes;
  return at;
}

void Arena::give(void* device) {
  if (device == nullptr) return;
  const std::lock_guard lock(mutex_);
  size_t at = static_cast<char*>(device) - device_;
  size_t bytes = taken_.extract(at).mapped();
  used_ -= bytes;
  constexpr size_t kWorthACall = size_t{1} << 20;
  if (bytes >= kWorthACall) {  // whole pages go back to the system
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t first = (at + page - 1) / page * page;
    madvise(host_ + first, (at + bytes) / page * page - first, MADV_DONTNEED);
  }
  auto next = free_.lower_bound(at);
  if (next != free_.end() && next->first == at + bytes) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == at) {
      before->second += bytes;
      return;
    }
  }
  free_[at] = bytes;
}

bool Arena::holds(const void* pointer) const {
  const auto* at = static_cast<const char*>(pointer);
  return at >= device_ && at < device_ + kArenaBytes;
}

bool Arena::set_limit(size_t bytes) {
  if (bytes > kArenaBytes) return false;
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
  return true;
}

void Arena::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = used_;
}

size_t Arena::limit() const {
  const std::lock_guard lock(mutex_);
  return limit_;
}

size_t Arena::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

size_t Arena::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace fake_device

bool fake_device_set_limit(size_t bytes) {
  return fake_device::Arena::get().set_limit(bytes);
}
size_t fake_device_limit() {
  return fake_device::Arena::get().limit();
}
size_t fake_device_used() {
  return fake_device::Arena::get().used();
}
size_t fake_device_peak() {
  return fake_device::Arena::get().peak();
}
void fake_device_reset_peak() {
  fake_device::Arena::get().reset_peak();
}
