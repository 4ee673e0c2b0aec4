#pragma once
#include <cstdint>
#include <vector>

#include "adascale/core/error.h"

namespace adascale {

/// The memory of a run; estimates, in bytes.
struct MemoryPlan {
  int64_t activations = 0;    ///< those kept between blocks
  int64_t largest_block = 0;  ///< in training by tensor operators
  int64_t on_device = 0;      ///< of the activations that stay on the device; 0 on the CPU
  bool free_is_known = true;  ///< whether the device tells how much new tensors may take
};

struct PartToTrain;
struct TrainingPlan;

/// Objects to a device without room for the largest block and for the quantized weights beside
/// the model's own, to more activations on it than fit, and to a disk without room for those
/// that memory does not hold.
MemoryPlan plan_memory(const std::vector<PartToTrain>& parts, const TrainingPlan& training,
                       Objections& objections);

}  // namespace adascale
