#include <ATen/EmptyTensor.h>
#include <ATen/ops/set_cpu_dispatch.h>
#include <ATen/ops/set_native.h>
#include <torch/library.h>

#include "device/fake/alias.h"
#include "device/fake/allocators.h"
#include "device/fake/counters.h"
#include "device/fake/deferred.h"

// Operations that no CPU operator can do for the device: make tensors, replace their
// storage, copy to and from it.
namespace fake_device {
namespace {

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

using Dtype = std::optional<c10::ScalarType>;
using Layout = std::optional<c10::Layout>;
using Format = std::optional<c10::MemoryFormat>;

at::Tensor empty(c10::IntArrayRef size, Dtype dtype, Layout, std::optional<c10::Device>,
                 std::optional<bool> pin, Format format) {
  TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
  return at::detail::empty_generic(size, device_allocator(), kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, Dtype dtype, Layout,
                         std::optional<c10::Device>, std::optional<bool> pin) {
  TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
  return at::detail::empty_strided_generic(size, stride, device_allocator(), kKeys,
                                           c10::dtype_or_default(dtype));
}

void grow_storage(const at::Tensor& self) {
  const size_t bytes =
      at::detail::computeStorageNbytes(self.sizes(), self.strides(), self.itemsize(), self.storage_offset());
  if (bytes > self.storage().nbytes()) resize_storage(self.storage(), bytes);
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef size, Format format) {
  if (self.sizes() == size && !format) return self;
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  if (format) impl->empty_tensor_restride(*format);
  grow_storage(self);
  return self;
}

at::Tensor& set_tensor(at::Tensor& self, const at::Tensor& source) {
  return at::native::set_tensor_(self, source);
}
at::Tensor& set_storage(at::Tensor& self, c10::Storage source) {
  return at::native::set_(self, std::move(source));
}
at::Tensor& set_storage_view(at::Tensor& self, c10::Storage source, int64_t offset, c10::IntArrayRef size,
                             c10::IntArrayRef stride) {
  return at::cpu::set_(self, std::move(source), offset, size, stride);
}
at::Tensor& set_nothing(at::Tensor& self) {
  return set_storage_view(self, c10::Storage(c10::Storage::use_byte_size_t(), 0, device_allocator(), true), 0,
                          {0}, {});
}

void count_copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (to.numel() == 0) return;
  if (on_device(from) && on_device(to)) return count_launch("aten::copy_");
  if (on_device(to)) return count_copy_to_device(from.sizes());
  count_copy_to_host(from.sizes());
  if (!non_blocking || !is_pinned(to.storage().data())) count_sync("copy to the host");
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  count_copy(from, to, non_blocking);
  const auto on_host = [](const at::Tensor& tensor) { return on_device(tensor) ? alias(tensor) : tensor; };
  const auto copy = [from, to, on_host] { on_host(to).copy_(on_host(from)); };
  if (non_blocking && !on_device(from) && may_defer())
    defer(copy);
  else
    copy();
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  at::Tensor(to).resize_(from.sizes());
  return copy_from(from, to, false);
}

void record_stream(at::Tensor& self, c10::Stream stream) {
  TORCH_CHECK(stream.device() == kFake, "record_stream: a stream of ", stream.device(), " for a tensor of ",
              kFake);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("resize_", &resize);
  library.impl("set_", &set_nothing);
  library.impl("set_.source_Tensor", &set_tensor);
  library.impl("set_.source_Storage", &set_storage);
  library.impl("set_.source_Storage_storage_offset", &set_storage_view);
  library.impl("_copy_from", &copy_from);
  library.impl("_copy_from_and_resize", &copy_from_and_resize);
  library.impl("record_stream", &record_stream);
}

// The copy reads conjugates and negatives itself; resolving them first would copy, and so on without end.
TORCH_LIBRARY_IMPL(aten, Conjugate, library) {
  library.impl("_copy_from", torch::CppFunction::makeFallthrough());
}
TORCH_LIBRARY_IMPL(aten, Negative, library) {
  library.impl("_copy_from", torch::CppFunction::makeFallthrough());
}

}  // namespace
}  // namespace fake_device
