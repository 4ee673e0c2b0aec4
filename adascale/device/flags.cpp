#include "adascale/device/flags.h"

namespace adascale {
namespace {

constexpr auto kCuda = at::Float32Backend::CUDA;
constexpr auto kProducts = at::Float32Op::MATMUL, kConvolutions = at::Float32Op::CONV;

}  // namespace

FlagScope::FlagScope(c10::Device device, const Flags& flags)
    : is_on_(!device.is_cpu()),
      cudnn_(at::globalContext().userEnabledCuDNN()),
      deterministic_(at::globalContext().deterministicAlgorithms()),
      warns_only_(at::globalContext().deterministicAlgorithmsWarnOnly()),
      products_(at::globalContext().float32Precision(kCuda, kProducts)),
      convolutions_(at::globalContext().float32Precision(kCuda, kConvolutions)) {
  if (!is_on_) return;
  at::Context& context = at::globalContext();
  const auto precision = flags.tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  context.setFloat32Precision(kCuda, kProducts, precision);
  context.setFloat32Precision(kCuda, kConvolutions, precision);
  if (flags.deterministic) context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  if (!flags.cudnn) context.setUserEnabledCuDNN(false);
}

FlagScope::~FlagScope() {
  if (!is_on_) return;
  at::Context& context = at::globalContext();
  context.setFloat32Precision(kCuda, kProducts, products_);
  context.setFloat32Precision(kCuda, kConvolutions, convolutions_);
  context.setDeterministicAlgorithms(deterministic_, warns_only_);
  context.setUserEnabledCuDNN(cudnn_);
}

}  // namespace adascale
