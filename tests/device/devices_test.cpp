#include "adascale/device/devices.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "error_text.h"

namespace adascale {
namespace {

using testing::error_of;

TEST(Devices, TheCpuIsAlwaysThere) {
  EXPECT_EQ(find_device("cpu"), c10::Device(c10::DeviceType::CPU));
  EXPECT_EQ(find_device("cpu:0"), c10::Device(c10::DeviceType::CPU));
  EXPECT_EQ(present_devices().front(), "cpu");
}

TEST(Devices, OneThatIsNotHereIsRefusedWithThosePresent) {
  if (present_devices().size() > 1) GTEST_SKIP() << "this machine has more than a CPU";
  const std::string unloaded = "; no backend for it is loaded: import the package that brings it";
  for (const auto& [name, cure] :
       {std::pair{"cpu:1", std::string()}, {"meta", "; it holds no numbers"}, {"xpu", unloaded}})
    EXPECT_EQ(error_of([&] { find_device(name); }),
              fmt::format("device: got '{}', expected auto or one of cpu{}", name, cure));
  for (const char* name : {"cuda", "cuda:0"})
    EXPECT_TRUE(error_of([&] {
                  find_device(name);
                }).starts_with(fmt::format("device: got '{}', expected auto or one of cpu; ", name)));
}

TEST(Devices, ANameThatTorchDoesNotKnowIsOneLine) {
  for (const char* name : {"gpu", "", "cuda:", "cuda:x", "cuda 0", "CPU"})
    EXPECT_TRUE(error_of([&] {
                  find_device(name);
                }).starts_with(std::string("device: got '") + name + "', expected auto or one of cpu"))
        << name;
}

}  // namespace
}  // namespace adascale
