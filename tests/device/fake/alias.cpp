#include "device/fake/alias.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>

#include <cstring>

#include "device/fake/allocators.h"
#include "device/fake/arena.h"

namespace fake_device {
namespace {

/// Grows like a CPU storage; then it is no alias any more, and the device's storage is released.
c10::Storage alias_storage(const c10::Storage& device) {
  void* start = device.data() == nullptr ? nullptr : Arena::get().host(device.data());
  const auto drop = [](void* owner) { delete static_cast<c10::Storage*>(owner); };
  return c10::Storage(c10::Storage::use_byte_size_t(), device.nbytes(),
                      c10::DataPtr(start, new c10::Storage(device), drop, c10::kCPU), c10::GetCPUAllocator(),
                      /*resizable=*/true);
}

void copy_geometry(const at::Tensor& from, const at::Tensor& to) {
  to.unsafeGetTensorImpl()->set_sizes_and_strides(from.sizes(), from.strides(), from.storage_offset());
}

bool same_geometry(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() && a.storage_offset() == b.storage_offset();
}

at::Tensor over_storage(const at::Tensor& device, c10::Storage storage) {
  at::Tensor host = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), device.dtype());
  copy_geometry(device, host);
  host._set_conj(device.is_conj());
  host._set_neg(device.is_neg());
  return host;
}

}  // namespace

bool on_device(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == kFakeType;
}

at::Tensor alias(const at::Tensor& device) {
  return device.defined() ? over_storage(device, alias_storage(device.storage())) : device;
}

at::Tensor upload(const at::Tensor& host) {
  if (!host.defined()) return host;
  constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);
  const at::Tensor device =
      host.is_non_overlapping_and_dense()
          ? at::detail::empty_strided_generic(host.sizes(), host.strides(), device_allocator(), kKeys,
                                              host.scalar_type())
          : at::detail::empty_generic(host.sizes(), device_allocator(), kKeys, host.scalar_type(),
                                      std::nullopt);
  alias(device).copy_(host);
  return device;
}

at::Tensor Loans::lend(const at::Tensor& device) {
  for (const Loan& loan : loans_) {
    if (loan.device.is_same(device)) return loan.host;
  }
  const auto shares = [&](const Loan& loan) { return loan.device.is_alias_of(device); };
  const auto loan = std::find_if(loans_.begin(), loans_.end(), shares);
  const at::Tensor host = loan == loans_.end() ? alias(device) : over_storage(device, loan->host.storage());
  loans_.push_back({device, host, host.storage().data()});
  return host;
}

void Loans::settle() const {
  for (const auto& [device, host, start] : loans_) {
    const c10::Storage& grown = host.storage();
    if (grown.data() != start) {
      if (device.storage().nbytes() < grown.nbytes()) resize_storage(device.storage(), grown.nbytes());
      std::memcpy(Arena::get().host(device.storage().data()), grown.data(), grown.nbytes());
    }
    if (!same_geometry(device, host)) copy_geometry(host, device);
  }
}

at::Tensor Loans::give_back(const at::Tensor& host) const {
  if (!host.defined()) return host;
  for (const Loan& loan : loans_) {
    if (loan.host.is_same(host)) return loan.device;
  }
  for (const auto& [device, lent, start] : loans_) {
    if (!lent.is_alias_of(host)) continue;
    at::Tensor view = at::detail::make_tensor<c10::TensorImpl>(
        c10::TensorImpl::VIEW, c10::Storage(device.storage()), device.key_set(), host.dtype());
    copy_geometry(host, view);
    return view;
  }
  return upload(host);
}

}  // namespace fake_device
