#pragma once
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/activation_store.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/input_source.h"
#include "adascale/tune/loaded_state.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/stages.h"

namespace adascale {

/// Walks an exported program in stages: the nodes the first block needs, the first block, the
/// further nodes the second one needs, and so on. Needs that no quantized weight reaches (masks, rotary
/// tables) are a stage of their own, which runs once for both streams. Per batch and stream, `store` only keeps the
/// values that a later stage reads and the FP outputs that the loss compares, but for those that may be computed anew
/// and have no room in memory. They and the state are moved to the program's device when a stage reads
/// them. Up to `state_bytes` of the state stay there until the stage ends. The FP stream multiplies the weights that the
/// blocks train as they do, in `compute_type` where a weight takes it.
class ProgramWalk : public InputSource {
 public:
  /// Keeps references to `sim` and `blocks`, which must outlive it.
  ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
              const std::vector<Inputs>& batches, ActivationStore store, int64_t state_bytes,
              c10::ScalarType compute_type = c10::ScalarType::Float);
  /// With separate inputs for the two streams, equally many: a program that is a part
  /// of a model.
  ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
              const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
              ActivationStore store, int64_t state_bytes, c10::ScalarType compute_type);

  /// The last block's FP outputs stay when it is left, in float_stream().
  void keep_last_outputs() { keeps_last_outputs_ = true; }
  const std::vector<Environment>& float_stream() const { return fp_; }

  int64_t batches() const override { return static_cast<int64_t>(fp_.size()); }
  void reach(size_t block) override;
  void run_fp(size_t block, const Watch& watch = {}) override;
  void run_quant(size_t block, const RunHooks& hooks = {}, const See& see = {}) override;
  std::vector<at::Tensor> fp_outputs(size_t block, int64_t batch) override;
  void leave(size_t block) override;
  const Interpreter& interpreter(size_t block) const override { return stage_of(block, kBlock).interpreter; }
  at::Tensor mask(int64_t batch) const override { return masks_[batch]; }
  const Environment& fp(int64_t batch) const override { return fp_[batch]; }
  const Environment& quant(int64_t batch) const override { return quant_[batch]; }
  at::Tensor quant_state(ValueId value) override { return quant_state_.get(value); }

 private:
  struct Stage {
    Interpreter interpreter;
    std::vector<ValueId> read_later;     ///< made here, read by later stages
    std::vector<ValueId> last_read;      ///< made before, and no later stage reads them
    std::vector<ValueId> only_compared;  ///< made here, for the loss
    const Block* block;                  ///< whose stage it is; nullptr: what one needs
  };

  ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
              const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
              ActivationStore store, int64_t state_bytes, c10::ScalarType compute_type, bool has_one_input);
  const Stage& stage_of(size_t block, StagePlace place) const {
    return stages_[kStagePlaces * block + place];
  }
  void cut_stages(bool has_one_input);
  void run_shared(const Stage& stage);
  void feed(const std::vector<Inputs>& batches, std::vector<Environment>& stream);
  at::Tensor load_fp(ValueId value) const;
  void run_stage(const Stage& stage, std::vector<Environment>& stream, const RunHooks& hooks,
                 const char* name, const Watch& watch = {}, const See& see = {});
  void keep_wanted(const Stage& stage, const std::vector<at::Tensor>& there, Environment& environment);
  void drop_dead(const Stage& stage);
  void keep_float_weights(size_t block);

  const QuantizationSimModel& sim_;
  const std::vector<Block>& blocks_;
  std::vector<Stage> stages_;  ///< for each block one of each place
  ActivationStore store_;
  Lowered lowered_;
  bool keeps_last_outputs_ = false;
  std::vector<Environment> fp_, quant_;
  std::vector<at::Tensor> masks_;  ///< by batch
  RunHooks fp_hooks_, quant_hooks_;
  LoadedState fp_state_, quant_state_;  ///< of the present stage
  /// FP weights that a later stage reads after their layer is folded in place.
  std::unordered_map<std::string, at::Tensor> kept_;
  std::unordered_set<const void*> folded_storages_;  ///< of weights that a fold overwrites
};

}  // namespace adascale
