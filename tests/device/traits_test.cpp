#include "adascale/device/traits.h"

#include <gtest/gtest.h>

#include "adascale/device/flags.h"

namespace adascale {
namespace {

const c10::Device kMeta(c10::DeviceType::Meta);

TEST(Traits, NothingIsAssumedOfADeviceThatIsNotKnown) {
  const DeviceTraits traits = traits_of(kMeta);
  EXPECT_FALSE(traits.multiplies_bfloat16 || traits.fuses_attention || traits.has_tf32 || traits.runs_ahead ||
               traits.pins_memory || traits.compiles_kernels);
}

TEST(Traits, ATestCanGiveThem) {
  set_traits(kMeta.type(), {.runs_ahead = true});
  EXPECT_TRUE(traits_of(kMeta).runs_ahead);
  set_traits(kMeta.type(), {});
  EXPECT_FALSE(traits_of(kMeta).runs_ahead);
}

TEST(Traits, TheCpuNeitherRunsAheadNorPins) {
  const DeviceTraits traits = traits_of(c10::Device(c10::DeviceType::CPU));
  EXPECT_FALSE(traits.fuses_attention || traits.has_tf32 || traits.runs_ahead || traits.pins_memory ||
               traits.compiles_kernels);
}

struct Switches {
  bool cudnn = at::globalContext().userEnabledCuDNN();
  bool deterministic = at::globalContext().deterministicAlgorithms();
  bool warns = at::globalContext().deterministicAlgorithmsWarnOnly();
  at::Float32Precision products =
      at::globalContext().float32Precision(at::Float32Backend::CUDA, at::Float32Op::MATMUL);
  bool operator==(const Switches&) const = default;
};

TEST(FlagScope, SetsWhatIsAskedAndPutsBackWhatWas) {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  const Switches before;
  {
    const FlagScope scope(kMeta, {.tf32 = true, .deterministic = true, .cudnn = false});
    EXPECT_EQ(Switches().products, at::Float32Precision::TF32);
    EXPECT_TRUE(Switches().deterministic);
    EXPECT_FALSE(Switches().warns);
    EXPECT_FALSE(Switches().cudnn);
  }
  EXPECT_EQ(Switches(), before);
  {
    const FlagScope scope(kMeta, {});
    EXPECT_EQ(Switches().products, before.products) << "left alone where it is exact already";
    EXPECT_TRUE(Switches().cudnn);
  }
  EXPECT_EQ(Switches(), before);
  at::globalContext().setDeterministicAlgorithms(false, false);
}

TEST(FlagScope, TF32IsOffUnlessItIsAskedFor) {
  constexpr auto kCuda = at::Float32Backend::CUDA;
  at::globalContext().setFloat32Precision(kCuda, at::Float32Op::MATMUL, at::Float32Precision::TF32);
  {
    const FlagScope scope(kMeta, {});
    EXPECT_EQ(Switches().products, at::Float32Precision::IEEE);
    EXPECT_EQ(at::globalContext().float32Precision(kCuda, at::Float32Op::CONV), at::Float32Precision::IEEE);
  }
  EXPECT_EQ(Switches().products, at::Float32Precision::TF32);
  at::globalContext().setFloat32Precision(kCuda, at::Float32Op::MATMUL, at::Float32Precision::NONE);
}

TEST(FlagScope, LeavesTheCpuAlone) {
  const Switches before;
  const FlagScope scope(c10::Device(c10::DeviceType::CPU), {.deterministic = true, .cudnn = false});
  EXPECT_EQ(Switches(), before);
}

}  // namespace
}  // namespace adascale
