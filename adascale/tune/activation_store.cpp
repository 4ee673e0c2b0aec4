#include "adascale/tune/activation_store.h"

#include <ATen/ops/from_blob.h>

#include <atomic>

namespace adascale {

struct ActivationStore::Budget {
  int64_t all;
  std::atomic<int64_t> used{0};
};

ActivationStore::ActivationStore(int64_t memory_bytes) : budget_(new Budget{memory_bytes}) {}

int64_t ActivationStore::bytes_in_memory() const {
  return budget_->used;
}

at::Tensor ActivationStore::keep(const at::Tensor& tensor) {
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  if (bytes == 0 || !tensor.is_cpu() || !tensor.is_non_overlapping_and_dense()) return tensor;
  if (budget_->used + bytes > budget_->all) {
    if (!file_) file_ = ScratchFile::open();
    return file_->copy(tensor);
  }
  budget_->used += bytes;
  // A part of a larger tensor would keep the whole of it.
  const bool is_part = static_cast<int64_t>(tensor.storage().nbytes()) > bytes;
  const at::Tensor own = is_part ? tensor.clone() : tensor;
  const auto release = [own, budget = budget_, bytes](void*) { budget->used -= bytes; };
  return at::from_blob(own.data_ptr(), own.sizes(), own.strides(), release, own.options());
}

}  // namespace adascale
