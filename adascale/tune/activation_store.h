#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "adascale/io/scratch_file.h"

namespace adascale {

/// Where activations wait between blocks: in memory up to a budget, beyond it in a temporary file, opened
/// when it is first needed. Room is used again as soon as the last reference to a tensor is gone, so that a
/// block's outputs overwrite what the block before it has left.
class ActivationStore {
 public:
  explicit ActivationStore(int64_t memory_bytes);

  /// The same values, kept by the store: the tensor's own memory or a copy in the file. Views that repeat
  /// memory, and tensors of other devices, stay as they are and do not count.
  at::Tensor keep(const at::Tensor& tensor);
  int64_t bytes_in_memory() const;
  int64_t bytes_in_file() const { return file_ ? file_->size() : 0; }

 private:
  struct Budget;
  std::shared_ptr<Budget> budget_;  ///< shared with the tensors, which may outlive the store
  std::shared_ptr<ScratchFile> file_;
};

}  // namespace adascale
