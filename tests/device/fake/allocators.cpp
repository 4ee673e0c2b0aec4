#include "device/fake/allocators.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <cstring>

#include "device/fake/arena.h"
#include "device/fake/fake_device.h"

namespace fake_device {
namespace {

bool tells_free = true;

void give_back(void* device) {
  Arena::get().give(device);
}

class DeviceAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* device = Arena::get().take(bytes);
    return {device, device, &give_back, kFake};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(Arena::get().host(to), Arena::get().host(from), bytes);
  }

  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    for (auto* bytes :
         {&stats.allocated_bytes, &stats.active_bytes, &stats.reserved_bytes, &stats.requested_bytes}) {
      (*bytes)[0].current = static_cast<int64_t>(Arena::get().used());
      (*bytes)[0].peak = static_cast<int64_t>(Arena::get().peak());
    }
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { Arena::get().reset_peak(); }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override {
    TORCH_CHECK_NOT_IMPLEMENTED(tells_free, "the fake device does not say what is free");
    const size_t limit = Arena::get().limit();
    return {limit - std::min(limit, Arena::get().used()), limit};
  }
};

DeviceAllocator allocator;
const c10::AllocatorRegisterer<kFakeType> registered(&allocator);

}  // namespace

c10::Allocator* device_allocator() {
  return &allocator;
}

void resize_storage(const c10::Storage& storage, size_t bytes) {
  auto* impl = storage.unsafeGetStorageImpl();
  c10::DataPtr fresh = allocator.allocate(bytes);
  if (const size_t kept = std::min(impl->nbytes(), bytes))
    allocator.copy_data(fresh.mutable_get(), impl->data(), kept);
  impl->set_data_ptr_noswap(std::move(fresh));
  impl->set_nbytes(bytes);
}

}  // namespace fake_device

void fake_device_tell_free(bool on) {
  fake_device::tells_free = on;
}
