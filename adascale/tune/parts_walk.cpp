#include "adascale/tune/parts_walk.h"

#include "adascale/core/error.h"
#include "adascale/tune/check_batches.h"

namespace adascale {

PartsWalk::PartsWalk(const PartedModel& model, const TrainingPlan& plan, const CatchInputs& catch_inputs)
    : model_(model),
      training_(plan),
      catch_inputs_(catch_inputs),
      store_(plan.options.activation_memory << 20, plan.memory.on_device) {
  for (size_t part = 0; part < plan.parts.size(); ++part)
    for (size_t block = 0; block < plan.parts[part].blocks.size(); ++block) places_.push_back({part, block});
}

void PartsWalk::reach(size_t block) {
  const Place place = places_[block];
  if (place.block == 0) enter(training_.parts[place.part]);
  walk_->reach(place.block);
}

void PartsWalk::enter(const PartPlan& part) {
  const auto& [sim, path] = model_.parts[part.part];
  walk_.reset();  // its activations go before the next ones come
  const PartInputs inputs = catch_inputs_(part.part, store_);
  ADA_CHECK(inputs.fp.size() == inputs.quant.size(),
            "{}: got {} batches of the FP model and {} of the quantized one, expected as many", path,
            inputs.fp.size(), inputs.quant.size());
  Objections objections;
  check_batches(sim.program(), path, inputs.fp, objections);
  objections.raise();
  walk_ = std::make_unique<ProgramWalk>(sim, part.blocks, inputs.fp, inputs.quant, store_,
                                        training_.memory.largest_block, training_.compute_type);
}

}  // namespace adascale
