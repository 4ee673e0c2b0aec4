#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace adascale {

/// Bytes that new tensors on the device may take: free ones and those that torch's allocator holds
/// unused. Nothing for the CPU and for backends that do not tell.
std::optional<int64_t> free_device_bytes(c10::Device device);

/// The same; for the CPU, what the system says is available, where it says so (Linux).
std::optional<int64_t> free_bytes(c10::Device device);

/// Gives the memory that torch's allocators hold unused back to the system: the device's and
/// page-locked host memory.
void give_back_device_memory(c10::Device device);

}  // namespace adascale
