#pragma once
#include <memory>
#include <vector>

#include "adascale/sim/parts.h"
#include "adascale/tune/program_walk.h"
#include "adascale/tune/training_plan.h"

namespace adascale {

/// Walks a model in parts, part after part: has the model run up to the next one, and walks the part's
/// own program with the inputs caught there. Only one part's activations are kept.
class PartsWalk : public InputSource {
 public:
  /// Keeps references to all three, which must outlive it.
  PartsWalk(const PartedModel& model, const TrainingPlan& plan, const CatchInputs& catch_inputs);

  int64_t batches() const override { return walk_->batches(); }
  void reach(size_t block) override;
  void run_fp(size_t block, const Watch& watch) override { walk_->run_fp(places_[block].block, watch); }
  void run_quant(size_t block, const RunHooks& hooks, const See& see) override {
    walk_->run_quant(places_[block].block, hooks, see);
  }
  std::vector<at::Tensor> fp_outputs(size_t block, int64_t batch) override {
    return walk_->fp_outputs(places_[block].block, batch);
  }
  void leave(size_t block) override { walk_->leave(places_[block].block); }
  const Interpreter& interpreter(size_t block) const override {
    return walk_->interpreter(places_[block].block);
  }
  at::Tensor mask(int64_t batch) const override { return walk_->mask(batch); }
  const Environment& fp(int64_t batch) const override { return walk_->fp(batch); }
  const Environment& quant(int64_t batch) const override { return walk_->quant(batch); }
  at::Tensor quant_state(ValueId value) override { return walk_->quant_state(value); }

 private:
  /// A block of the run: the number of its part in the plan, and its own in the part.
  struct Place {
    size_t part, block;
  };

  void enter(const PartPlan& part);

  const PartedModel& model_;
  const TrainingPlan& training_;
  const CatchInputs& catch_inputs_;
  std::vector<Place> places_;          ///< by block of the run
  ActivationStore store_;              ///< of all parts, one after the other
  std::unique_ptr<ProgramWalk> walk_;  ///< of the present part
};

}  // namespace adascale
