#pragma once
#include <ATen/Context.h>

#include <optional>

namespace adascale {

/// The state of torch's switches that a loop needs; they hold for the whole process.
struct Flags {
  bool tf32 = false;           ///< fp32 products and convolutions may use TF32 on a device that has it
  bool deterministic = false;  ///< algorithms whose sums have one order
  bool cudnn = true;           ///< off to train recurrent layers: its backward needs a forward in train mode
};

/// Sets the switches and restores them at the end. Nothing is touched for a run on the CPU.
class FlagScope {
 public:
  FlagScope(c10::Device device, const Flags& flags);
  ~FlagScope();
  FlagScope(const FlagScope&) = delete;

 private:
  /// One precision. It is set only where it differs from the wanted one: a value inherited from a
  /// more general switch stays inherited.
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
