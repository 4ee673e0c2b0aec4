#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace adascale {

/// Sets of tensors that wait anywhere, brought to a device one set after another. On a device whose work is
/// queued the next set is copied on a stream of its own while the present one is computed with.
class CopyAhead {
 public:
  /// `set_of(number)`: the tensors of a set, undefined ones included, alive as long as this is.
  CopyAhead(c10::Device device, std::function<std::vector<at::Tensor>(int64_t)> set_of);
  /// Waits, on the host, for copies that were started: their sources may go.
  ~CopyAhead();
  CopyAhead(const CopyAhead&) = delete;

  /// The set on the device, in the order of `set_of`; tensors that are there already are the same.
  std::vector<at::Tensor> get(int64_t number);
  /// Starts copying a set that get() will be asked for; nothing on a device that does not run ahead.
  void start(int64_t number);

 private:
  struct Started {
    int64_t number;
    std::vector<at::Tensor> tensors;
    c10::Event done;
  };

  c10::Device device_;
  std::function<std::vector<at::Tensor>(int64_t)> set_of_;
  std::optional<c10::Stream> stream_;  ///< of the copies, once there are any
  std::optional<Started> started_;
};

}  // namespace adascale
