#include "adascale/device/memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

namespace adascale {

std::optional<int64_t> free_device_bytes(c10::Device device) {
  if (device.is_cpu()) return std::nullopt;
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (allocator == nullptr) return std::nullopt;
  try {
    const auto free = static_cast<int64_t>(allocator->getMemoryInfo(device.index()).first);
    const auto stats = allocator->getDeviceStats(device.index());
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return free + stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
  } catch (const c10::Error&) {  // boundary: a backend that does not say
    return std::nullopt;
  }
}

}  // namespace adascale
