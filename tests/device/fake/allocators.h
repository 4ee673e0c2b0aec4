#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/Device.h>
#include <c10/core/Storage.h>

namespace fake_device {

inline constexpr c10::DeviceType kFakeType = c10::DeviceType::PrivateUse1;
inline const c10::Device kFake{kFakeType, 0};

c10::Allocator* device_allocator();
/// Gives the storage `bytes` bytes and keeps the part of its contents that fits.
void resize_storage(const c10::Storage& storage, size_t bytes);

c10::Allocator* pinned_allocator();
bool is_pinned(const void* pointer);

}  // namespace fake_device
