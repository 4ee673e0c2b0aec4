#pragma once
#include <ATen/Context.h>

#include <optional>

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
  /// One precision, touched only where it is not as wanted: what is inherited from a more
  /// general switch stays so.
  class Precision {
   public:
    Precision(at::Float32Op op, at::Float32Precision wanted);
    ~Precision();
    Precision(const Precision&) = delete;

   private:
    at::Float32Op op_;
    std::optional<at::Float32Precision> before_;
  };

  bool is_on_;
  bool cudnn_, benchmarks_, deterministic_, warns_only_;
  std::optional<Precision> products_, convolutions_;
};

}  // namespace adascale
