#include <ATen/core/CachingHostAllocator.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>

#include "device/fake/allocators.h"
#include "device/fake/fake_device.h"

namespace fake_device {
namespace {

/// Host memory registered as pinned; it only records the addresses.
class PinnedAllocator final : public at::HostAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, c10::kCPU};
    constexpr size_t kPage = 4096;
    void* at = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
    TORCH_CHECK(at != nullptr, "fake device: no host memory for ", bytes, " pinned bytes");
    const std::lock_guard lock(mutex_);
    ranges_[static_cast<char*>(at)] = bytes;
    return {at, at, raw_deleter(), c10::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
  bool record_event(void*, void*, c10::Stream) override { return true; }
  void empty_cache() override {}
  at::HostStats get_stats() override { return {}; }
  void reset_accumulated_stats() override {}
  void reset_peak_stats() override {}

  void release(void* at) {
    const std::lock_guard lock(mutex_);
    ranges_.erase(static_cast<char*>(at));
    std::free(at);
  }
  bool holds(const void* pointer) const {
    const auto* at = static_cast<const char*>(pointer);
    const std::lock_guard lock(mutex_);
    auto range = ranges_.upper_bound(at);
    return range != ranges_.begin() && at < std::prev(range)->first + std::prev(range)->second;
  }
  size_t bytes() const {
    const std::lock_guard lock(mutex_);
    size_t sum = 0;
    for (const auto& [at, bytes] : ranges_) sum += bytes;
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  std::map<const char*, size_t> ranges_;
};

PinnedAllocator& pinned() {
  static auto* only = new PinnedAllocator;  // outlives every tensor
  return *only;
}

c10::DeleterFnPtr PinnedAllocator::raw_deleter() const {
  return [](void* at) { pinned().release(at); };
}

const at::HostAllocatorRegistry<kFakeType> registered_pinned(&pinned());

}  // namespace

c10::Allocator* pinned_allocator() {
  return &pinned();
}
bool is_pinned(const void* pointer) {
  return pinned().holds(pointer);
}

}  // namespace fake_device

size_t fake_device_pinned() {
  return fake_device::pinned().bytes();
}
