#include "adascale/device/traits.h"

#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <map>

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

/// cuDNN's condition is compute capability 8.0: torch's only word on it that needs no CUDA headers.
bool cuda_is_sm80() {
  return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
}

std::map<c10::DeviceType, DeviceTraits>& table() {
  static std::map<c10::DeviceType, DeviceTraits> traits;
  return traits;
}

DeviceTraits look_up(c10::DeviceType type) {
  if (type == c10::DeviceType::CPU) return {.multiplies_bfloat16 = cpu_multiplies_bfloat16()};
  if (type != c10::DeviceType::CUDA) return {};
  const bool is_sm80 = cuda_is_sm80();
  return {.multiplies_bfloat16 = is_sm80,
          .fuses_attention = true,
          .has_tf32 = is_sm80,
          .runs_ahead = true,
          .pins_memory = true};
}

}  // namespace

DeviceTraits traits_of(c10::Device device) {
  const auto known = table().find(device.type());
  if (known != table().end()) return known->second;
  return table()[device.type()] = look_up(device.type());
}

void set_traits(c10::DeviceType type, const DeviceTraits& traits) {
  table()[type] = traits;
}

}  // namespace adascale
