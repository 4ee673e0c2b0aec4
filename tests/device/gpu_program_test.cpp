#include "adascale/device/gpu_program.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "adascale/device/devices.h"
#include "error_text.h"

namespace adascale {
namespace {

using testing::error_of;

const GpuSource kSource{"nothing.h", "", {}};

bool has_cuda() {
  const auto present = present_devices();
  return std::any_of(present.begin(), present.end(),
                     [](const std::string& name) { return name.starts_with("cuda"); });
}

TEST(GpuProgram, IsForCudaAlone) {
  EXPECT_EQ(error_of([] { GpuProgram(c10::Device("cpu"), kSource, {}); }),
            "nothing.h: cpu is no CUDA device");
}

TEST(GpuProgram, SaysWhatIsMissingWithoutCuda) {
  if (has_cuda()) GTEST_SKIP() << "there is a GPU";
  const std::string said = error_of([] { GpuProgram(c10::Device("cuda:0"), kSource, {}); });
  EXPECT_NE(said.find("libcaffe2_nvrtc.so cannot be loaded: "), std::string::npos) << said;
}

}  // namespace
}  // namespace adascale
