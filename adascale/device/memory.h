#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace adascale {

/// Bytes that new tensors on the device may take: free ones, and what torch's allocator holds unused. Nothing
/// for the CPU and for backends that do not say.
std::optional<int64_t> free_device_bytes(c10::Device device);

/// What torch's allocators hold unused, of the device's memory and of page-locked host
/// memory, back to the system.
void give_back_device_memory(c10::Device device);

}  // namespace adascale
