#include "adascale/sim/compute_device.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "error_text.h"

namespace adascale {
namespace {

Program with_state(const std::vector<std::pair<std::string, c10::Device>>& places) {
  Program program;
  for (const auto& [name, device] : places) {
    const auto kind = name == "lifted" ? ProgramInput::Kind::kConstant : ProgramInput::Kind::kParameter;
    program.inputs.push_back({.kind = kind, .name = name});
    program.state[name] = at::empty({2}, at::TensorOptions(device));
  }
  return program;
}

const c10::Device kCpu(c10::DeviceType::CPU), kMeta(c10::DeviceType::Meta);

TEST(ComputeDevice, AutoFollowsTheParameters) {
  EXPECT_EQ(compute_device(with_state({}), "auto"), kCpu);
  EXPECT_EQ(compute_device(with_state({{"w", kCpu}}), "auto"), kCpu);
}

TEST(ComputeDevice, AModelWithoutNumbersIsRefused) {
  for (const char* name : {"auto", "cpu"})
    EXPECT_EQ(testing::error_of([&] {
                compute_device(with_state({{"w", kMeta}, {"b", kMeta}}), name);
              }),
              "w is on meta and holds no numbers; load the model's weights first");
}

TEST(ComputeDevice, AConstantOfTheGraphIsNoPlaceOfTheModel) {
  EXPECT_EQ(compute_device(with_state({{"lifted", kMeta}, {"w", kCpu}}), "auto"), kCpu);
}

TEST(ComputeDevice, AModelOnTwoDevicesIsRefusedByName) {
  const std::string text =
      "fc1.weight is on cpu, fc2.weight on meta: expected a model on one device; move it with model.to(...)";
  for (const char* name : {"auto", "cpu"})
    EXPECT_EQ(testing::error_of([&] {
                compute_device(with_state({{"fc1.weight", kCpu}, {"fc2.weight", kMeta}}), name);
              }),
              text);
}

TEST(ComputeDevice, AnotherDeviceThanTheParametersMayBeAskedFor) {
  EXPECT_EQ(compute_device(with_state({{"w", kCpu}}), "cpu"), kCpu);
  EXPECT_EQ(testing::error_of([&] {
              compute_device(with_state({{"w", kCpu}}), "nothing");
            }).substr(0, 23),
            "device: got 'nothing', ");
}

}  // namespace
}  // namespace adascale
