#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>
#include <chrono>

#include "device/fake/allocators.h"
#include "device/fake/counters.h"
#include "device/fake/deferred.h"

namespace fake_device {
namespace {

using Clock = std::chrono::steady_clock;

constexpr c10::StreamId kPoolSize = 8;
std::atomic<c10::StreamId> streams_given{0};
thread_local c10::StreamId current_stream = 0;

c10::Stream stream_of(c10::StreamId id) {
  return c10::Stream(c10::Stream::UNSAFE, kFake, id);
}

/// A moment of a stream.
struct Recorded {
  Clock::time_point time;
  c10::StreamId stream;
  size_t deferred;
};

/// Kernels are done when they are launched, so that an event is a moment and nobody waits
/// long; waits of the host are counted. Copies on streams of their own are done when
/// something waits for them.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kFakeType; }
  c10::Device exchangeDevice(c10::Device) const override { return kFake; }
  c10::Device getDevice() const override { return kFake; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }

  c10::Stream getStream(c10::Device) const override { return stream_of(current_stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return stream_of(1 + streams_given++ % kPoolSize);
  }
  c10::Stream getNewStream(c10::Device device, int) const override {
    return getStreamFromGlobalPool(device, false);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(std::exchange(current_stream, stream.id()));
  }
  void* getStreamNativeHandle(const c10::Stream stream) const override {
    return reinterpret_cast<void*>(stream.id());
  }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override {
    count_sync("stream");
    catch_up(stream.id());
  }
  void synchronizeDevice(c10::DeviceIndex) const override {
    count_sync("device");
    catch_up_all();
  }
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    if (*event == nullptr) *event = new Recorded;
    *static_cast<Recorded*>(*event) = {Clock::now(), stream.id(), deferred_so_far(stream.id())};
  }
  void block(void* event, const c10::Stream&) const override { catch_up_to(event); }
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void* event) const override {
    count_sync("event");
    catch_up_to(event);
  }
  static void catch_up_to(void* event) {
    const auto* recorded = static_cast<Recorded*>(event);
    catch_up(recorded->stream, recorded->deferred);
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<Recorded*>(event);
  }
  double elapsedTime(void* from, void* to, c10::DeviceIndex) const override {
    const auto time = static_cast<Recorded*>(to)->time - static_cast<Recorded*>(from)->time;
    return std::chrono::duration<double, std::milli>(time).count();
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

c10::StreamId present_stream() {
  return current_stream;
}
}  // namespace fake_device
