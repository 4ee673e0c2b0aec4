#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace adascale {

/// Brings sets of tensors to a device, one set after another. On a device that queues work,
/// a stream of its own copies the next set while the present one is used. At most two sets
/// are on the device: the copying stream waits for the work queued on the memory that it
/// reuses, the host never waits.
class CopyAhead {
 public:
  /// `set_of(number)`: the tensors of a set, undefined ones included, alive as long as this is.
  CopyAhead(c10::Device device, std::function<std::vector<at::Tensor>(int64_t)> set_of);
  /// Waits, on the host, for copies that were started: their sources may go.
  ~CopyAhead();
  CopyAhead(const CopyAhead&) = delete;

  /// The set on the device, in the order of `set_of`; tensors already there are returned as they
  /// are. The others are overwritten by the set after the next: whoever keeps one copies it.
  std::vector<at::Tensor> get(int64_t number);
  /// Starts copying the set that get() will be asked for next. Call it after the present set's work
  /// was queued. Does nothing on a device that does not run ahead.
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
  /// Has passed when the work on all sets but the last started is done.
  std::optional<c10::Event> before_last_;
  std::optional<Started> started_;
  bool copies_ = false;
};

}  // namespace adascale
