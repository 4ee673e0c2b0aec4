#pragma once
#include <utility>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

/// Ends a forward function after its inputs are recorded; not an error.
struct ForwardRecorded {};

/// While it lives, calls of the simulation store copies of their inputs and throw ForwardRecorded
/// instead of running.
class Recorder {
 public:
  /// `sim` must outlive it.
  explicit Recorder(QuantizationSimModel& sim);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  size_t calls() const { return recorded_.size(); }
  std::vector<Inputs> take() { return std::move(recorded_); }

 private:
  QuantizationSimModel& sim_;
  std::vector<Inputs> recorded_;
};

/// The inputs with which `forward_fn(sim, batch)` calls the model. Throws (user) unless each batch makes
/// one call.
template <class Batches, class Forward>
std::vector<Inputs> record_inputs(QuantizationSimModel& sim, const Batches& batches,
                                  const Forward& forward_fn) {
  Recorder recorder(sim);
  size_t index = 0;
  for (const auto& batch : batches) {
    try {
      forward_fn(sim, batch);
    } catch (const ForwardRecorded&) {  // boundary: how a recorded call ends
    }
    ADA_CHECK(recorder.calls() == ++index, "batch {}: forward_fn called the model {} times, expected once",
              index - 1, recorder.calls() + 1 - index);
  }
  return recorder.take();
}

}  // namespace adascale
