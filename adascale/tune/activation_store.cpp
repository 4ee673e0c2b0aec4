#include "adascale/tune/activation_store.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>

#include <atomic>
#include <bit>

#include "adascale/core/kept_memory.h"
#include "adascale/device/traits.h"

namespace adascale {
namespace {

int64_t bytes_of(const at::Tensor& tensor) {
  return static_cast<int64_t>(tensor.nbytes());
}

/// Torch rounds page-locked memory up to powers of two.
int64_t pinned_bytes(const at::Tensor& tensor) {
  return static_cast<int64_t>(std::bit_ceil(tensor.nbytes()));
}

at::Tensor on_host(const at::Tensor& tensor, bool pinned) {
  const auto options = tensor.options().device(at::kCPU).pinned_memory(pinned);
  return at::empty_strided(tensor.sizes(), tensor.strides(), options).copy_(tensor);
}

/// Without what an expanded tensor repeats; dense.
at::Tensor dense_base(at::Tensor tensor) {
  for (int64_t dim = 0; dim < tensor.dim(); ++dim)
    if (tensor.stride(dim) == 0 && tensor.size(dim) > 1) tensor = tensor.narrow(dim, 0, 1);
  return tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
}

at::Tensor as_given(const at::Tensor& kept, const at::Tensor& tensor) {
  return kept.sizes() == tensor.sizes() ? kept : kept.expand(tensor.sizes());
}

}  // namespace

struct ActivationStore::Budget {
  int64_t all;
  std::atomic<int64_t> used{0};
};

ActivationStore::ActivationStore(int64_t host_bytes, int64_t device_bytes)
    : host_(new Budget{host_bytes}), device_(new Budget{device_bytes}) {}

int64_t ActivationStore::used(const SharedBudget& budget) {
  return budget->used;
}

bool ActivationStore::has_room(const SharedBudget& budget, int64_t bytes) {
  return budget->used + bytes <= budget->all;
}

at::Tensor ActivationStore::count(const SharedBudget& budget, const at::Tensor& tensor, int64_t bytes) {
  budget->used += bytes;
  if (tensor.is_cpu()) KeptMemory::note_kept(bytes);
  // A part of a larger tensor would keep the whole tensor alive.
  const bool is_part = static_cast<int64_t>(tensor.storage().nbytes()) > bytes_of(tensor);
  const at::Tensor own = is_part ? tensor.clone() : tensor;
  const auto release = [own, budget, bytes](void*) { budget->used -= bytes; };
  return at::for_blob(own.data_ptr(), own.sizes())
      .strides(own.strides())
      .deleter(release)
      .options(own.options())
      .target_device(own.device())
      .make_tensor();
}

at::Tensor ActivationStore::bring(const at::Tensor& tensor, c10::Device device) {
  const int64_t bytes = bytes_of(tensor);
  const bool comes = !device.is_cpu() && tensor.device() != device && has_room(device_, bytes);
  return comes ? count(device_, tensor.to(device), bytes) : tensor;
}

at::Tensor ActivationStore::keep(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return tensor;
  const at::Tensor base = dense_base(tensor);
  at::Tensor kept = keep_dense(base);
  if (!kept.defined()) {
    if (!file_) file_ = ScratchFile::open();
    kept = file_->copy(base.is_cpu() ? base : on_host(base, /*pinned=*/false));
  }
  return as_given(kept, tensor);
}

at::Tensor ActivationStore::keep_in_memory(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return tensor;
  const at::Tensor kept = keep_dense(dense_base(tensor));
  return kept.defined() ? as_given(kept, tensor) : kept;
}

/// Undefined where there is no room.
at::Tensor ActivationStore::keep_dense(const at::Tensor& tensor) {
  const int64_t bytes = bytes_of(tensor);
  if (tensor.is_cpu()) KeptMemory::give_back_holes();
  if (!tensor.is_cpu() && has_room(device_, bytes)) return count(device_, tensor, bytes);
  const bool pins = traits_of(tensor.device()).pins_memory;
  const int64_t taken = pins ? pinned_bytes(tensor) : bytes;
  if (!has_room(host_, taken)) return {};
  return count(host_, tensor.is_cpu() ? tensor : on_host(tensor, pins), taken);
}

}  // namespace adascale
