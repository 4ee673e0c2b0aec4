#include "adascale/tune/noise.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include "adascale/core/seed.h"

namespace adascale {
namespace {

constexpr int kDropped = 40;  // of 64 bits: fp32 holds 24
constexpr float kUnit = 0x1p-24F;
constexpr int64_t kNumbersPerTask = 1 << 15;

at::Tensor noise_on_cpu(at::IntArrayRef sizes, uint64_t seed) {
  const at::Tensor noise = at::empty(sizes, at::kFloat);
  float* out = noise.mutable_data_ptr<float>();
  at::parallel_for(0, noise.numel(), kNumbersPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<float>(derive_seed(seed, static_cast<uint64_t>(i)) >> kDropped) * kUnit;
  });
  return noise;
}

/// Shifts of int64 keep the sign; derive_seed's shifts bring in zeros.
at::Tensor shifted_right(const at::Tensor& z, int bits) {
  return z.bitwise_right_shift(bits).bitwise_and_((int64_t{1} << (64 - bits)) - 1);
}

at::Tensor mixed(const at::Tensor& z, int bits, uint64_t factor) {
  return z.bitwise_xor(shifted_right(z, bits)).mul_(static_cast<int64_t>(factor));
}

/// derive_seed on tensors: products of int64 wrap like those of uint64.
at::Tensor noise_on_device(at::IntArrayRef sizes, uint64_t seed, c10::Device device) {
  const int64_t count = c10::multiply_integers(sizes);
  at::Tensor z = at::arange(1, count + 1, at::TensorOptions(at::kLong).device(device));
  z.mul_(static_cast<int64_t>(0x9e3779b97f4a7c15ULL)).add_(static_cast<int64_t>(seed));
  z = mixed(z, 30, 0xbf58476d1ce4e5b9ULL);
  z = mixed(z, 27, 0x94d049bb133111ebULL);
  z = z.bitwise_xor(shifted_right(z, 31));
  return shifted_right(z, kDropped).to(at::kFloat).mul_(kUnit).view(sizes);
}

}  // namespace

at::Tensor uniform_noise(at::IntArrayRef sizes, uint64_t seed, c10::Device device) {
  return device.is_cpu() ? noise_on_cpu(sizes, seed) : noise_on_device(sizes, seed, device);
}

}  // namespace adascale
