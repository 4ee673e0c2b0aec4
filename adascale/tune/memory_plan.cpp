#include "adascale/tune/memory_plan.h"

#include <algorithm>

#include "adascale/core/spelling.h"
#include "adascale/device/memory.h"
#include "adascale/io/scratch_file.h"
#include "adascale/tune/activation_memory.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

/// So many times the block's estimate stays free of activations unless the user sets their budget.
constexpr int64_t kCaution = 2;

/// Bytes of the weights that a run folds: new tensors beside the model's own, on its device.
int64_t folded_bytes(const QuantizationSimModel& sim) {
  if (sim.options().in_place || sim.options().on_demand) return 0;
  int64_t bytes = 0;
  for (const QuantizedWeight& weight : sim.weights()) {
    const at::Tensor own = sim.state(weight.layer.parameters.front());
    if (!weight.encoding && own.device() == sim.program().device) bytes += static_cast<int64_t>(own.nbytes());
  }
  return bytes;
}

/// With the cure where there is one: blocks simulated alone are trained towards weights that must stay.
std::string describe_folded(int64_t folded, bool is_whole) {
  const std::string text = fmt::format("the quantized weights beside the model's own {}", folded >> 20);
  if (folded == 0 || !is_whole) return text;
  return fmt::format("{} (none in a simulation with {})", text, option("in_place"));
}

void plan_device(c10::Device device, int64_t folded, bool is_whole, const AdaScaleOptions& options,
                 MemoryPlan& plan, Objections& objections) {
  const std::optional<int64_t> free = free_bytes(device);
  const int64_t taken = plan.largest_block + folded;
  const int64_t room = free ? std::max<int64_t>(0, *free - taken - (kCaution - 1) * plan.largest_block) : 0;
  plan.on_device = options.device_activation_memory ? *options.device_activation_memory << 20 : room;
  plan.free_is_known = free.has_value();
  if (!free) return;
  if (taken > *free)
    objections.add(
        "{}: {} has {} MiB free, and the largest block takes about {} MiB in training, {}; give "
        "smaller batches, smaller blocks ({}), or another device",
        option("device"), device.str(), *free >> 20, plan.largest_block >> 20,
        describe_folded(folded, is_whole), option("blocks"));
  else if (taken + plan.on_device > *free)
    objections.add(
        "{}: got {} MiB, but {} has {} MiB free, of which training takes about {}; give at most {}",
        option("device_activation_memory"), plan.on_device >> 20, device.str(), *free >> 20, taken >> 20,
        (*free - taken) >> 20);
}

/// Checks the disk for the activations that memory does not hold.
void check_scratch(int64_t bytes, Objections& objections) {
  if (bytes <= 0) return;
  objections.gather([&] {
    const ScratchRoom room = scratch_room();
    if (bytes > room.bytes)
      objections.add(
          "{}: about {} MiB of activations are left to a temporary file, but {} has {} MiB free; point "
          "TMPDIR to another folder, give fewer samples, or allow more memory",
          option("activation_memory"), bytes >> 20, room.folder, room.bytes >> 20);
  });
}

}  // namespace

MemoryPlan plan_memory(const std::vector<PartToTrain>& parts, const TrainingPlan& training,
                       Objections& objections) {
  const AdaScaleOptions& options = training.options;
  const c10::Device device = parts.front().sim.program().device;
  MemoryPlan plan;
  int64_t folded = 0;
  for (const PartPlan& own : training.parts) {
    const PartToTrain& part = parts[own.part];
    plan.activations = std::max(plan.activations, estimate_activation_bytes(part.sim.program(), own.blocks,
                                                                            part.batches, part.is_whole()) /
                                                      training.team->size());
    plan.largest_block = std::max(
        plan.largest_block, estimate_block_bytes(part.sim, own.blocks, part.batches, training.recipe.update));
    folded += folded_bytes(part.sim);
  }
  if (!device.is_cpu())
    plan_device(device, folded, parts.front().is_whole(), options, plan, objections);
  else if (options.device_activation_memory)
    objections.add("{}: the device is the CPU; leave it out, or give {}", option("device_activation_memory"),
                   option("activation_memory"));
  check_scratch(plan.activations - plan.on_device - (options.activation_memory << 20), objections);
  return plan;
}

}  // namespace adascale
