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

  /// Runs the iterations; `on_iteration(step, loss)` after each.
  void train(const std::function<void(int64_t, double)>& on_iteration);
  /// Mean loss of batches [first, last) on quantized inputs, no mixing, with the quantizers as they are now.
  double measure(int64_t first, int64_t last) const;
  /// Codes of the job's weights, in its order.
  std::vector<Encoding> encode() const;
  const std::vector<AdaScaleQuantizer>& quantizers() const { return quantizers_; }

 private:
  at::Tensor loss(int64_t batch, const std::map<ValueId, c10::IValue>& inputs) const;
  std::map<ValueId, c10::IValue> quantized_inputs(int64_t batch) const;
  std::map<ValueId, c10::IValue> mixed_inputs(int64_t batch);

  BlockJob job_;
  std::vector<AdaScaleQuantizer> quantizers_;
  at::Generator generator_;
};

/// Squared error, summed over dim 1, averaged over the rest (AIMET's loss); fp32. Below two dims: the mean.
at::Tensor reconstruction_loss(const at::Tensor& output, const at::Tensor& target);

}  // namespace adascale
