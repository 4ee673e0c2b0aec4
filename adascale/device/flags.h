#pragma once
#include <ATen/Context.h>

namespace adascale {

/// What a loop asks of torch's switches, which hold for the whole process.
struct Flags {
  bool tf32 = false;           ///< fp32 products and convolutions on a device that has it may use TF32
  bool deterministic = false;  ///< algorithms whose sums have one order
  bool cudnn = true;           ///< recurrent layers train without: its backward wants a forward in train mode
};

/// Sets the switches, and puts back what was there before. Nothing is touched for a run on the CPU.
class FlagScope {
 public:
  FlagScope(c10::Device device, const Flags& flags);
  ~FlagScope();
  FlagScope(const FlagScope&) = delete;

 private:
  bool is_on_;
  bool cudnn_, deterministic_, warns_only_;
  at::Float32Precision products_, convolutions_;
};

}  // namespace adascale
