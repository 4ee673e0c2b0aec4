#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace fake_device {

bool on_device(const at::Tensor& tensor);
/// The same memory as a CPU tensor.
at::Tensor alias(const at::Tensor& device);
/// A copy on the device, with the same strides where they are dense. It is not counted, as it
/// stands for a kernel's output.
at::Tensor upload(const at::Tensor& host);

/// The tensors of one operator call, lent to a CPU operator as aliases of the device's memory.
class Loans {
 public:
  /// The same alias for the same tensor, and the same storage for tensors that share one.
  at::Tensor lend(const at::Tensor& device);
  /// Applies the operator's changes to the lent tensors: out= arguments may have been resized.
  void settle() const;
  /// A result on the device: the lent tensor, a view of one, or a copy of fresh memory.
  at::Tensor give_back(const at::Tensor& host) const;

 private:
  struct Loan {
    at::Tensor device;
    at::Tensor host;
    const void* start;  // of the host's storage; it differs when the operator has grown it
  };
  std::vector<Loan> loans_;
};

}  // namespace fake_device
