#pragma once
#include <cstdint>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// compute_encodings in steps, for a caller that runs the model itself (Python, a model in parts).
class CalibrationSteps {
 public:
  /// `sim` must outlive it. Several may be made of one simulation: what was observed is the simulation's.
  explicit CalibrationSteps(QuantizationSimModel& sim);

  /// From here on calls of the model are observed. Throws (user) between begin and end, or while inputs
  /// are recorded.
  void begin();
  /// The number of calls since begin.
  int64_t calls() const;
  /// Sets the activations' encodings and folds the weights not folded yet. After an exception the
  /// simulation is as compute_encodings says, and what was observed is still there.
  void end();
  /// Undoes begin.
  void abort();

 private:
  QuantizationSimModel& sim_;
};

}  // namespace adascale
