#include "adascale/device/traits.h"

#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <c10/core/DeviceGuard.h>

#include <map>
#include <mutex>
#include <string>

namespace adascale {
namespace {

bool cpu_multiplies_bfloat16() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto has = [&](const char* name) {
    const auto found = capabilities.find(name);
    return found != capabilities.end() && found->second.isBool() && found->second.toBool();
  };
  return has("amx_bf16") || has("avx512_bf16") || has("bf16");
}

/// cuDNN's condition is compute capability 8.0: torch tells no more about it without CUDA headers.
bool cuda_is_sm80() {
  return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
}

std::mutex mutex;
std::map<std::string, DeviceTraits> looked_up;  // by device
std::map<c10::DeviceType, DeviceTraits> given;  // by tests

DeviceTraits look_up(c10::Device device) {
  if (device.is_cpu()) return {.multiplies_bfloat16 = cpu_multiplies_bfloat16()};
  if (!device.is_cuda()) return {};
  const c10::DeviceGuard guard(device);
  const bool is_sm80 = cuda_is_sm80();
  return {.multiplies_bfloat16 = is_sm80,
          .fuses_attention = true,
          .has_tf32 = is_sm80,
          .runs_ahead = true,
          .pins_memory = true,
          .compiles_kernels = true};
}

}  // namespace

DeviceTraits traits_of(c10::Device device) {
  const std::lock_guard lock(mutex);
  if (const auto found = given.find(device.type()); found != given.end()) return found->second;
  const auto known = looked_up.find(device.str());
  return known == looked_up.end() ? looked_up[device.str()] = look_up(device) : known->second;
}

void set_traits(c10::DeviceType type, const DeviceTraits& traits) {
  const std::lock_guard lock(mutex);
  given[type] = traits;
}

}  // namespace adascale
