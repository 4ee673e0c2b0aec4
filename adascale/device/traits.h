#pragma once
#include <c10/core/Device.h>

namespace adascale {

/// The abilities of a device. All code that depends on them asks this table, so that a test can
/// give any device any ability.
struct DeviceTraits {
  bool multiplies_bfloat16 = false;  ///< faster than fp32
  bool fuses_attention = false;      ///< the operator in bf16 beats two products around a softmax
  bool has_tf32 = false;             ///< fp32 products may run on 10 bits of mantissa
  bool runs_ahead = false;           ///< work is queued, and reading a number waits for all of it
  bool pins_memory = false;          ///< copies of page-locked host memory run beside computation
  bool compiles_kernels = false;     ///< runs our own kernels for GPUs (device/gpu_program.h)
};

/// CPUs: bf16 by AMX, AVX-512 or Arm's instructions. CUDA: bf16 and TF32 from compute capability
/// 8.0 on, the others always. Other devices: nothing is assumed.
DeviceTraits traits_of(c10::Device device);

/// For tests: the answer of traits_of for devices of that type from now on.
void set_traits(c10::DeviceType type, const DeviceTraits& traits);

}  // namespace adascale
