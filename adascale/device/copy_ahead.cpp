#include "adascale/device/copy_ahead.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "adascale/device/traits.h"

namespace adascale {
namespace {

bool is_elsewhere(const at::Tensor& tensor, c10::Device device) {
  return tensor.defined() && tensor.device() != device;
}

std::vector<at::Tensor> moved(std::vector<at::Tensor> tensors, c10::Device device, bool non_blocking) {
  for (at::Tensor& tensor : tensors)
    if (is_elsewhere(tensor, device)) tensor = tensor.to(device, non_blocking);
  return tensors;
}

}  // namespace

CopyAhead::CopyAhead(c10::Device device, std::function<std::vector<at::Tensor>(int64_t)> set_of)
    : device_(device), set_of_(std::move(set_of)) {}

CopyAhead::~CopyAhead() {
  try {
    if (stream_) stream_->synchronize();
  } catch (const c10::Error&) {  // boundary: a device that failed has said so to the loop already
  }
}

void CopyAhead::start(int64_t number) {
  if (!traits_of(device_).runs_ahead) return;
  std::vector<at::Tensor> tensors = set_of_(number);
  const auto waits = [&](const at::Tensor& tensor) { return is_elsewhere(tensor, device_); };
  if (std::none_of(tensors.begin(), tensors.end(), waits)) return;
  if (!stream_)
    stream_ = c10::impl::VirtualGuardImpl(device_.type())
                  .getStreamFromGlobalPool(device_, /*isHighPriority=*/false);
  const c10::StreamGuard on_ours(*stream_);
  started_.emplace(
      Started{number, moved(std::move(tensors), device_, /*non_blocking=*/true), c10::Event(device_.type())});
  started_->done.record(*stream_);
}

std::vector<at::Tensor> CopyAhead::get(int64_t number) {
  if (!started_ || started_->number != number) return moved(set_of_(number), device_, /*non_blocking=*/false);
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream computing = guard.getStream(device_);
  started_->done.block(computing);
  std::vector<at::Tensor> tensors = std::move(started_->tensors);
  started_.reset();
  // Their memory belongs to the copies' stream; the allocator must not give it away before this one is done.
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined()) guard.recordDataPtrOnStream(tensor.storage().data_ptr(), computing);
  return tensors;
}

}  // namespace adascale
