#include "device/fake/counters.h"

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "device/fake/fake_device.h"

namespace fake_device {
namespace {

std::atomic<int64_t> launches{0};
std::atomic<int64_t> syncs{0};
std::atomic<int64_t> copies_to_device{0};
std::atomic<int64_t> copies_to_host{0};
std::atomic<bool> tracing{std::getenv("FAKE_DEVICE_TRACE") != nullptr};

template <typename What>
void count(std::atomic<int64_t>& counter, const char* kind, const What& what) {
  ++counter;
  if (!tracing) return;
  std::ostringstream line;  // one write, so that the lines of threads stay whole
  line << "fake device: " << kind << " " << what << "\n";
  std::cerr << line.str();
}

}  // namespace

void count_launch(std::string_view what) {
  count(launches, "launch", what);
}
void count_sync(std::string_view what) {
  count(syncs, "sync", what);
}
void count_copy_to_device(c10::IntArrayRef sizes) {
  count(copies_to_device, "copy to the device", sizes);
}
void count_copy_to_host(c10::IntArrayRef sizes) {
  count(copies_to_host, "copy to the host", sizes);
}

}  // namespace fake_device

FakeDeviceCounts fake_device_counts() {
  using namespace fake_device;
  return {launches, syncs, copies_to_device, copies_to_host};
}

void fake_device_reset_counts() {
  using namespace fake_device;
  for (auto* counter : {&launches, &syncs, &copies_to_device, &copies_to_host}) *counter = 0;
}

void fake_device_trace(bool on) {
  fake_device::tracing = on;
}
