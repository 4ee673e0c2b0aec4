#include "adascale/device/copy_ahead.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "adascale/device/traits.h"

namespace adascale {
namespace {

bool is_elsewhere(const at::Tensor& tensor, c10::Device device) {
  return tensor.defined() && tensor.device() != device;
}

std::vector<at::Tensor> moved(std::vector<at::Tensor> tensors, c10::Device device) {
  for (at::Tensor& tensor : tensors)
    if (is_elsewhere(tensor, device)) tensor = tensor.to(device);
  return tensors;
}

c10::Stream computing_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

/// One stream for all copies to a device: allocators keep freed memory by stream.
c10::Stream copying_stream(c10::Device device) {
  static std::mutex mutex;
  static std::map<std::pair<c10::DeviceType, c10::DeviceIndex>, c10::Stream> streams;
  const std::lock_guard lock(mutex);
  const auto key = std::pair(device.type(), device.index());
  const auto known = streams.find(key);
  if (known != streams.end()) return known->second;
  const c10::impl::VirtualGuardImpl guard(device.type());
  return streams.emplace(key, guard.getStreamFromGlobalPool(device)).first->second;
}

bool fits(const at::Tensor& room, const at::Tensor& tensor) {
  return room.defined() && room.sizes() == tensor.sizes() && room.scalar_type() == tensor.scalar_type();
}

}  // namespace

CopyAhead::CopyAhead(c10::Device device, std::function<std::vector<at::Tensor>(int64_t)> set_of)
    : device_(device), set_of_(std::move(set_of)) {}

CopyAhead::~CopyAhead() {
  try {
    if (copies_) copying_stream(device_).synchronize();
  } catch (const c10::Error&) {  // boundary: a device that failed has said so to the loop already
  }
}

/// Makes room for `tensors`; returns whether any of it is new memory, which other
/// queued work may still use.
bool CopyAhead::make_room(const std::vector<at::Tensor>& tensors, std::vector<at::Tensor>& room) const {
  room.resize(tensors.size());
  bool is_new = false;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_elsewhere(tensors[i], device_) || fits(room[i], tensors[i])) continue;
    room[i] = at::empty_like(tensors[i], tensors[i].options().device(device_).pinned_memory(false));
    is_new = true;
  }
  return is_new;
}

void CopyAhead::start(int64_t number) {
  if (!traits_of(device_).runs_ahead) return;
  std::vector<at::Tensor> tensors = set_of_(number);
  const auto waits = [&](const at::Tensor& tensor) { return is_elsewhere(tensor, device_); };
  if (std::none_of(tensors.begin(), tensors.end(), waits)) return;
  const c10::Stream copying = copying_stream(device_);
  c10::Event now(device_.type());
  now.record(computing_stream(device_));
  std::vector<at::Tensor>& room = rooms_[turn_];
  turn_ = 1 - turn_;
  const bool is_new = make_room(tensors, room) || !before_last_;
  (is_new ? now : *before_last_).block(copying);
  const c10::StreamGuard on_ours(copying);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!waits(tensors[i])) continue;
    room[i].copy_(tensors[i], /*non_blocking=*/true);
    tensors[i] = room[i];
  }
  started_.emplace(Started{number, std::move(tensors), c10::Event(device_.type())});
  started_->done.record(copying);
  before_last_ = std::move(now);
  copies_ = true;
}

std::vector<at::Tensor> CopyAhead::get(int64_t number) {
  if (!started_ || started_->number != number) return moved(set_of_(number), device_);
  started_->done.block(computing_stream(device_));
  std::vector<at::Tensor> tensors = std::move(started_->tensors);
  started_.reset();
  return tensors;
}

}  // namespace adascale
