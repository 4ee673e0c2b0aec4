#pragma once

#include <cstddef>
#include <cstdint>

// The tests' interface to the device; fake_device.py calls these functions through ctypes.
extern "C" {
struct FakeDeviceCounts {
  int64_t launches;   // operators that would be a kernel, copies within the device among them
  int64_t syncs;      // waits of the host: .item(), results whose size depends on data, copies to the host,
                      // synchronize
  int64_t to_device;  // copies from the host
  int64_t to_host;    // copies to the host; asynchronous, and no sync, if non_blocking and to pinned memory
};

FakeDeviceCounts fake_device_counts();
void fake_device_reset_counts();
/// Prints each launch, sync and copy to stderr. On from the start if FAKE_DEVICE_TRACE is set.
void fake_device_trace(bool on);

/// Sets the bytes of the device; at the start FAKE_DEVICE_BYTES, else 16 GiB. Memory in use stays
/// in use. False if the device cannot have as many.
bool fake_device_set_limit(size_t bytes);
size_t fake_device_limit();
/// If off, the backend does not tell how much memory is free, like some backends.
void fake_device_tell_free(bool on);
size_t fake_device_used();
/// The most bytes used since the start or the last reset.
size_t fake_device_peak();
void fake_device_reset_peak();
/// Bytes of pinned host memory in use.
size_t fake_device_pinned();

void fake_device_seed(uint64_t seed);
}
