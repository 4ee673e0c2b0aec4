#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/input_source.h"
#include "adascale/tune/recipe.h"

namespace adascale {

/// One block's training: what stays fixed while its iterations run.
struct BlockJob {
  const QuantizationSimModel& sim;
  const Block& block;
  const Plan& plan;
  const InputSource& source;     ///< at the block, run_fp done
  std::vector<int32_t> weights;  ///< indices of the sim's weights to train
  Recipe recipe;
  int64_t iterations = 0;
  int64_t training_batches = 0;  ///< the first so many; the rest only measure
  uint64_t seed = 0;
};

/// Trains the weight quantizers of one block so that its output on the quantized model's input approaches the
/// FP block's output on the FP model's input (block-wise knowledge distillation; algorithm in
/// ARCHITECTURE.md).
class BlockTrainer {
 public:
  explicit BlockTrainer(BlockJob job);

  /// Runs the iterations; `on_iteration(step, loss)` after each. Nothing when the recipe does not train.
  void train(const std::function<void(int64_t, double)>& on_iteration);
  /// Mean loss of batches [first, last) on quantized inputs, no mixing, with `weights` in place of the job's.
  double measure(const std::vector<at::Tensor>& weights, int64_t first, int64_t last) const;
  /// The job's weights as the quantizers have them now, in its order, and their codes.
  std::vector<at::Tensor> quantized_weights() const;
  std::vector<Encoding> encode() const;
  const std::vector<AdaScaleQuantizer>& quantizers() const { return quantizers_; }

 private:
  using Values = std::map<ValueId, c10::IValue>;
  /// The tensor to use in place of the job's weight of that position.
  using WeightOf = std::function<at::Tensor(size_t position)>;

  at::Tensor loss(int64_t batch, const Values& inputs, const WeightOf& weight_of) const;
  at::Tensor output_loss(ValueId output, const at::Tensor& got, const at::Tensor& target) const;
  Values quantized_inputs(int64_t batch) const;
  Values mixed_inputs(int64_t batch);

  BlockJob job_;
  std::vector<AdaScaleQuantizer> quantizers_;
  at::Generator generator_;
};

}  // namespace adascale
