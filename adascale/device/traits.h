#pragma once
#include <c10/core/Device.h>

namespace adascale {

/// What a device is good at. Whatever depends on it asks this table, so that a test can
/// give a device any of it.
struct DeviceTraits {
  bool multiplies_bfloat16 = false;  ///< faster than fp32
  bool fuses_attention = false;      ///< the operator in bf16 beats two products around a softmax
  bool has_tf32 = false;             ///< fp32 products may run on 10 bits of mantissa
  bool runs_ahead = false;           ///< work is queued, and reading a number waits for all of it
  bool pins_memory = false;          ///< copies of page-locked host memory run beside computation
};

/// CPUs: bf16 by AMX, AVX-512 or Arm's instructions. CUDA: bf16 and TF32 from compute capability 8.0 on, all
/// else always. Other devices: nothing is assumed.
DeviceTraits traits_of(c10::Device device);

/// For tests: what traits_of says of devices of that type from now on.
void set_traits(c10::DeviceType type, const DeviceTraits& traits);

}  // namespace adascale
