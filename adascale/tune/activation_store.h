#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "adascale/io/scratch_file.h"

namespace adascale {

/// Keeps activations between blocks: on the device that made them up to one budget, in the host's
/// memory up to another (page-locked where the device copies from there beside its work), beyond
/// that in a temporary file, opened on first need. Room is reused as soon as the last reference to
/// a tensor is gone, so that a block's outputs overwrite the values left by the block before it.
class ActivationStore {
 public:
  /// Bytes of host memory and of device memory; the CPU's tensors only use the host's.
  explicit ActivationStore(int64_t host_bytes, int64_t device_bytes = 0);

  /// The same values, kept by the store: the tensor's own memory or a copy in the next place with
  /// room. What an expanded tensor repeats is kept once.
  at::Tensor keep(const at::Tensor& tensor);
  /// Likewise, but undefined where only the file has room.
  at::Tensor keep_in_memory(const at::Tensor& tensor);
  /// A tensor that waits elsewhere, moved to the device if its budget has room; otherwise unchanged.
  at::Tensor bring(const at::Tensor& tensor, c10::Device device);
  int64_t bytes_in_memory() const { return used(host_); }
  int64_t bytes_on_device() const { return used(device_); }
  int64_t bytes_in_file() const { return file_ ? file_->size() : 0; }

 private:
  struct Budget;
  using SharedBudget = std::shared_ptr<Budget>;  ///< shared with the tensors, which may outlive the store

  static int64_t used(const SharedBudget& budget);
  static bool has_room(const SharedBudget& budget, int64_t bytes);
  static at::Tensor count(const SharedBudget& budget, const at::Tensor& tensor, int64_t bytes);

  at::Tensor keep_dense(const at::Tensor& tensor);

  SharedBudget host_, device_;
  std::shared_ptr<ScratchFile> file_;
};

}  // namespace adascale
