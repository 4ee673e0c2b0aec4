#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace adascale {

/// Sets of tensors that wait anywhere, brought to a device one set after another. On a device whose
/// work is queued the next set is copied on a stream of its own while the present one is computed
/// with. Two sets at most are on the device: the copies' stream waits until the work queued on a
/// set's room is done, the host never.
class CopyAhead {
 public:
  /// `set_of(number)`: the tensors of a set, undefined ones included, alive as long as this is.
  CopyAhead(c10::Device device, std::function<std::vector<at::Tensor>(int64_t)> set_of);
  /// Waits, on the host, for copies that were started: their sources may go.
  ~CopyAhead();
  CopyAhead(const CopyAhead&) = delete;

  /// The set on the device, in the order of `set_of`; tensors that are there already are the same. The others
  /// are overwritten by the set after the next: whoever keeps one copies it.
  std::vector<at::Tensor> get(int64_t number);
  /// Starts copying the set that get() will be asked for next, after the present one's work was queued;
  /// nothing on a device that does not run ahead.
  void start(int64_t number);

 private:
  struct Started {
    int64_t number;
    std::vector<at::Tensor> tensors;
    c10::Event done;
  };

  bool make_room(const std::vector<at::Tensor>& tensors, std::vector<at::Tensor>& room) const;

  c10::Device device_;
  std::function<std::vector<at::Tensor>(int64_t)> set_of_;
  std::array<std::vector<at::Tensor>, 2> rooms_;  ///< taken in turns
  size_t turn_ = 0;
  std::optional<c10::Event>
      before_last_;  ///< work on all sets but the last started is done when it has passed
  std::optional<Started> started_;
  bool copies_ = false;
};

}  // namespace adascale
