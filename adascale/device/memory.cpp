#include "adascale/device/memory.h"

#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <fstream>
#include <string>

namespace adascale {
namespace {

/// Null where a backend has no allocator of this kind, or none at all.
c10::DeviceAllocator* device_allocator(c10::Device device) {
  try {
    return dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  } catch (const c10::Error&) {  // boundary: a backend without an allocator
    return nullptr;
  }
}

}  // namespace

std::optional<int64_t> free_device_bytes(c10::Device device) {
  auto* allocator = device.is_cpu() ? nullptr : device_allocator(device);
  if (allocator == nullptr) return std::nullopt;
  try {
    const auto free = static_cast<int64_t>(allocator->getMemoryInfo(device.index()).first);
    const auto stats = allocator->getDeviceStats(device.index());
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return free + stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
  } catch (const c10::Error&) {  // boundary: a backend that does not tell
    return std::nullopt;
  }
}

std::optional<int64_t> free_bytes(c10::Device device) {
  if (!device.is_cpu()) return free_device_bytes(device);
  std::ifstream file("/proc/meminfo");
  std::string field, unit;
  for (int64_t kibibytes = 0; file >> field >> kibibytes; std::getline(file, unit))
    if (field == "MemAvailable:") return kibibytes << 10;
  return std::nullopt;
}

void give_back_device_memory(c10::Device device) {
  if (device.is_cpu()) return;
  if (auto* allocator = device_allocator(device)) allocator->emptyCache();
  try {
    if (auto* host = at::getHostAllocator(device.type())) host->empty_cache();
  } catch (const c10::Error&) {  // boundary: a backend that pins no memory
  }
}

}  // namespace adascale
