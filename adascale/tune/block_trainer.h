#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "adascale/device/flags.h"
#include "adascale/quant/adascale_quantizer.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/input_source.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/loss_curve.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/recipe.h"
#include "adascale/tune/team.h"

namespace adascale {

/// One block's training: the values that stay fixed during its iterations.
struct BlockJob {
  const QuantizationSimModel& sim;
  const Block& block;
  size_t index = 0;              ///< of the block in the source
  InputSource& source;           ///< at the block, after run_fp; has this process's batches
  Team& team;                    ///< that trains the block
  std::vector<int32_t> weights;  ///< indices of the sim's weights to train
  std::vector<Range> start;      ///< by weight: the range it is trained from
  Recipe recipe;
  c10::ScalarType compute_type = c10::ScalarType::Float;  ///< of layers whose codes bf16 can hold
  int64_t iterations = 0;
  int64_t accumulate = 1;  ///< batches of this process whose gradients are added for an iteration's step
  int64_t training_batches = 0;        ///< the first ones of this process; the others only measure
  std::vector<int64_t> compared = {};  ///< TrainingPlan::compared_batches
  bool deterministic = false;          ///< where the device's fast algorithms are not
  uint64_t seed = 0;
};

/// Trains the weight quantizers of one block so that its output on the quantized model's input
/// approaches the FP block's output on the FP model's input (block-wise knowledge distillation;
/// algorithm in ARCHITECTURE.md).
class BlockTrainer {
 public:
  explicit BlockTrainer(BlockJob job);

  /// Runs the iterations as a Pass of this name, which is told each of them or, where reading the loss would wait
  /// for the device, every 20th and the last; returns what it was told. Does nothing when the recipe does not train.
  LossCurve train(const std::string& name);
  /// Runs the block on its inputs in the quantized stream, without mixing, with `weights` in place of the job's. Returns
  /// the loss of each batch compared, of all processes, in the order of BlockJob::compared.
  std::vector<double> losses_of(const std::vector<at::Tensor>& weights);
  /// The same for every batch, so that the stream has the block's outputs.
  std::vector<double> run_stream(const std::vector<at::Tensor>& weights);
  /// The quantizers' present weights in the order of the job, and their codes.
  std::vector<at::Tensor> quantized_weights() const;
  std::vector<Encoding> encode() const;
  const std::vector<AdaScaleQuantizer>& quantizers() const { return quantizers_; }
  /// The gradients added over the team in an iteration, in bytes.
  int64_t exchanged() const { return exchanged_; }

 private:
  using Values = std::map<ValueId, at::Tensor>;
  /// One batch's tensors for an iteration, on the device.
  struct Sample {
    Values quant_inputs;              ///< of the block's nodes
    Values fp_inputs;                 ///< of activations in, where the recipe mixes
    std::vector<at::Tensor> targets;  ///< by activation out
  };
  /// The tensor that replaces the job's weight at that position.
  using WeightOf = std::function<at::Tensor(size_t position)>;

  RunHooks hooks_with(const WeightOf& weight_of) const;
  RunHooks hooks_with(const std::vector<at::Tensor>& weights) const;
  c10::Device device() const { return job_.sim.program().device; }
  Flags flags() const;
  bool mixes() const { return job_.recipe.fp_input_share > 0; }
  c10::ScalarType type_of(size_t position) const;
  std::vector<at::Tensor> waiting(int64_t batch, bool mixing) const;
  Sample sample_from(int64_t batch, const std::vector<at::Tensor>& tensors) const;
  std::vector<at::Tensor> targets(int64_t batch, std::vector<at::Tensor> waiting) const;
  uint64_t number_over_all(int64_t turn) const;
  void feed(const Sample& sample, int64_t batch, Environment& environment) const;
  /// `turn`: the number of the batch among all that this process trains on, iteration after iteration.
  void mix(const Sample& sample, int64_t turn, Environment& environment) const;
  /// Adds gradients over the team.
  void share_gradients(const std::vector<std::unique_ptr<LearnedWeight>>& learned);
  /// The loss of that turn, whose gradients are added to those of the weights.
  at::Tensor run_backward(int64_t turn, const RunHooks& hooks, const Sample& sample) const;
  at::Tensor mixed(const at::Tensor& fp, const at::Tensor& quant, uint64_t place) const;
  at::Tensor loss(int64_t batch, const Environment& outputs, const std::vector<at::Tensor>& targets) const;
  at::Tensor output_loss(int64_t batch, ValueId output, const at::Tensor& got,
                         const at::Tensor& target) const;

  BlockJob job_;
  int64_t exchanged_ = 0;
  std::vector<AdaScaleQuantizer> quantizers_;
  Lowered lowered_;
  mutable std::map<std::pair<int64_t, ValueId>, at::Tensor> factors_;  ///< found once, by batch and output
};

}  // namespace adascale
