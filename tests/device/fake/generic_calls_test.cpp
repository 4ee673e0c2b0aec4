// The calls that the library may make on any accelerator, made on the fake one: memory, pinned
// memory, streams, events.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "device/fake/fake_device.h"

namespace {

const c10::Device kDevice{c10::DeviceType::PrivateUse1, 0};

FakeDeviceCounts since(const FakeDeviceCounts& before) {
  const FakeDeviceCounts now = fake_device_counts();
  return {now.launches - before.launches, now.syncs - before.syncs, now.to_device - before.to_device,
          now.to_host - before.to_host};
}

TEST(GenericCalls, FindTheAccelerator) {
  EXPECT_EQ(at::getAccelerator(), kDevice.type());
  EXPECT_EQ(c10::Device("fake"), c10::Device(kDevice.type(), -1));
  EXPECT_EQ(c10::impl::VirtualGuardImpl(kDevice.type()).deviceCount(), 1);
}

TEST(GenericCalls, TellFreeAndTotalMemory) {
  auto* allocator = at::getDeviceAllocator(kDevice.type());
  const auto [free, total] = allocator->getMemoryInfo(0);
  EXPECT_EQ(total, fake_device_limit());
  allocator->resetPeakStats(0);
  {
    const at::Tensor held = at::empty({1024}, at::TensorOptions(kDevice));
    EXPECT_EQ(allocator->getMemoryInfo(0).first, free - 4096);
  }
  EXPECT_EQ(allocator->getMemoryInfo(0).first, free);
  const auto used = allocator->getDeviceStats(0).allocated_bytes[0];
  EXPECT_EQ(used.peak - used.current, 4096);
  allocator->emptyCache();
}

TEST(GenericCalls, RunOutOfMemory) {
  const size_t limit = fake_device_limit();
  fake_device_set_limit(fake_device_used() + 512);
  EXPECT_THROW(at::empty({129}, at::TensorOptions(kDevice)), c10::OutOfMemoryError);
  EXPECT_NO_THROW(at::empty({128}, at::TensorOptions(kDevice)));
  fake_device_set_limit(limit);
}

TEST(GenericCalls, PinMemory) {
  const at::Tensor plain = at::randn({3, 4});
  const at::Tensor fresh = at::empty({3, 4}, at::TensorOptions().pinned_memory(true));
  const at::Tensor copied = plain.pin_memory();
  EXPECT_FALSE(plain.is_pinned());
  EXPECT_TRUE(fresh.is_pinned() && copied.is_pinned() && fresh.device().is_cpu());
  EXPECT_TRUE(copied.narrow(0, 2, 1).is_pinned());
  EXPECT_TRUE(copied.equal(plain));
  const c10::DataPtr raw = at::getHostAllocator(kDevice.type())->allocate(100);
  EXPECT_TRUE(at::globalContext().isPinnedPtr(raw.get()));
}

TEST(GenericCalls, CopyAheadOnASideStream) {
  const c10::impl::VirtualGuardImpl device(kDevice.type());
  const at::Tensor host = at::randn({64}).pin_memory();
  const c10::Stream compute = device.getStream(kDevice);
  const c10::Stream side = device.getStreamFromGlobalPool(kDevice);
  EXPECT_NE(side, compute);
  const FakeDeviceCounts before = fake_device_counts();
  c10::Event copied(kDevice.type());
  at::Tensor there;
  {
    const c10::StreamGuard guard(side);
    EXPECT_EQ(device.getStream(kDevice), side);
    EXPECT_EQ(reinterpret_cast<intptr_t>(side.native_handle()), side.id());
    there = host.to(kDevice, /*non_blocking=*/true);
    copied.record(side);
  }
  EXPECT_EQ(device.getStream(kDevice), compute);
  EXPECT_TRUE(there.cpu().isnan().all().item<bool>()) << "nothing has waited for the copy";
  compute.wait(copied);
  there.record_stream(compute);
  const FakeDeviceCounts waited = fake_device_counts();
  const at::Tensor back = at::empty({64}, at::TensorOptions().pinned_memory(true));
  back.copy_(there, /*non_blocking=*/true);
  EXPECT_EQ(since(waited).syncs, 0);
  EXPECT_EQ(since(before).to_device, 1);
  EXPECT_EQ(since(waited).to_host, 1);
  copied.synchronize();
  side.synchronize();
  device.synchronizeDevice(0);
  EXPECT_EQ(since(waited).syncs, 3);
  EXPECT_TRUE(copied.query() && side.query());
  EXPECT_TRUE(back.equal(host));
}

TEST(GenericCalls, SeedTheDevice) {
  at::manual_seed(7);
  const at::Tensor first = at::randn({5}, at::TensorOptions(kDevice));
  at::manual_seed(7);
  EXPECT_TRUE(first.equal(at::randn({5}, at::TensorOptions(kDevice))));
}

}  // namespace
