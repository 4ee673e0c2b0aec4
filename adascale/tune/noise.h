#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace adascale {

/// Uniform numbers in [0, 1), fp32, each a function only of `seed` and its position: the same on
/// every device and with any number of threads. The top 24 bits of splitmix64 (Steele, Lea and
/// Flood 2014), as derive_seed computes it.
at::Tensor uniform_noise(at::IntArrayRef sizes, uint64_t seed, c10::Device device);

}  // namespace adascale
