// The end of a calibration that runs out of memory: at each allocation in turn.
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <new>

#include "adascale/sim/calibration_steps.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

using testing::example_input;
using testing::model_file;
using testing::w4a16;

/// While it lives, tensors of the CPU get no memory once `left` allocations were made.
class ScarceMemory : public c10::Allocator {
 public:
  explicit ScarceMemory(int64_t left) : own_(c10::GetCPUAllocator()), left_(left) {
    c10::SetCPUAllocator(this, kPriority);
  }
  ~ScarceMemory() override { c10::SetCPUAllocator(own_, kPriority); }

  c10::DataPtr allocate(size_t bytes) override {
    if (left_-- <= 0) throw std::bad_alloc();
    return own_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return own_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    own_->copy_data(to, from, bytes);
  }

 private:
  static constexpr uint8_t kPriority = 255;
  c10::Allocator* own_;
  int64_t left_;
};

bool ends_with(QuantizationSimModel& sim, int64_t allocations) {
  const ScarceMemory memory(allocations);
  try {
    CalibrationSteps(sim).end();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

int count_decided(const QuantizationSimModel& sim) {
  int decided = 0;
  for (const QuantizedWeight& weight : sim.weights()) decided += weight.encoding.has_value();
  for (const ActivationQuantizer& quantizer : sim.activations()) decided += quantizer.encoding.has_value();
  return decided;
}

TEST(EndCalibration, OutOfMemoryAnywhereLeavesTheSimAsItWas) {
  QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  CalibrationSteps(sim).begin();
  sim(example_input("seed"));
  int64_t allocations = 0;
  while (!ends_with(sim, allocations)) {
    ASSERT_EQ(count_decided(sim), 0) << allocations;
    ASSERT_FALSE(sim.is_calibrated());
    for (const auto& [name, tensor] : sim.program().state)
      ASSERT_TRUE(sim.state(name).is_same(tensor)) << name;
    ++allocations;
  }
  EXPECT_GT(allocations, 100);
  EXPECT_TRUE(sim.is_calibrated());
  EXPECT_EQ(count_decided(sim), static_cast<int>(sim.weights().size() + sim.activations().size()));
}

TEST(EndCalibration, OutOfMemoryInPlaceLeavesWholeWeightsAndCanBeRepeated) {
  SimOptions options = w4a16();
  options.in_place = true;
  QuantizationSimModel sim(load_program(model_file("seed")), options);
  CalibrationSteps(sim).begin();
  sim(example_input("seed"));
  for (int64_t allocations = 0; !ends_with(sim, allocations); ++allocations) {
    ASSERT_FALSE(sim.is_calibrated());
    for (const ActivationQuantizer& quantizer : sim.activations()) ASSERT_FALSE(quantizer.encoding);
    for (const QuantizedWeight& weight : sim.weights()) {
      if (!weight.encoding) continue;
      const at::Tensor own = sim.program().state.at(weight.layer.parameters.front());
      ASSERT_TRUE(own.detach().equal(dequantize(*weight.encoding))) << weight.layer.name;
    }
  }
  EXPECT_NO_THROW(sim.check_unchanged());
}

}  // namespace
}  // namespace adascale
