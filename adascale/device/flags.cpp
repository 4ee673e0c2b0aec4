#include "adascale/device/flags.h"

namespace adascale {
namespace {

constexpr auto kCuda = at::Float32Backend::CUDA;

}  // namespace

FlagScope::Precision::Precision(at::Float32Op op, at::Float32Precision wanted) : op_(op) {
  const at::Float32Precision now = at::globalContext().float32Precision(kCuda, op);
  const bool is_exact = now == at::Float32Precision::IEEE || now == at::Float32Precision::NONE;
  if (wanted == now || (wanted == at::Float32Precision::IEEE && is_exact)) return;
  before_ = now;
  at::globalContext().setFloat32Precision(kCuda, op, wanted);
}

FlagScope::Precision::~Precision() {
  if (before_) at::globalContext().setFloat32Precision(kCuda, op_, *before_);
}

FlagScope::FlagScope(c10::Device device, const Flags& flags)
    : is_on_(!device.is_cpu()),
      cudnn_(at::globalContext().userEnabledCuDNN()),
      benchmarks_(at::globalContext().benchmarkCuDNN()),
      deterministic_(at::globalContext().deterministicAlgorithms()),
      warns_only_(at::globalContext().deterministicAlgorithmsWarnOnly()) {
  if (!is_on_) return;
  at::Context& context = at::globalContext();
  const auto precision = flags.tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  products_.emplace(at::Float32Op::MATMUL, precision);
  convolutions_.emplace(at::Float32Op::CONV, precision);
  if (flags.deterministic) {
    context.setDeterministicAlgorithms(true, /*warn_only=*/false);
    context.setBenchmarkCuDNN(false);  // it times algorithms, and the fastest is not always the same
  }
  if (!flags.cudnn) context.setUserEnabledCuDNN(false);
}

FlagScope::~FlagScope() {
  if (!is_on_) return;
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(deterministic_, warns_only_);
  context.setBenchmarkCuDNN(benchmarks_);
  context.setUserEnabledCuDNN(cudnn_);
}

}  // namespace adascale
