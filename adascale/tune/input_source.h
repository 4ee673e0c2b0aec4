#pragma once
#include <functional>
#include <vector>

#include "adascale/graph/interpreter.h"

namespace adascale {

/// The inputs of the blocks, batch by batch, in the FP model and in the quantized one (weights of
/// earlier blocks as decided, activations unquantized). Blocks are visited in order: reach, run_fp,
/// run_quant once per set of weights to try, leave.
///
/// ProgramWalk walks one program. PartsWalk walks a model in parts: it has someone else run the model up to a
/// part and hand in what reaches it, and walks the part's own program from there.
class InputSource {
 public:
  /// Sees the operands of a batch's node before it runs.
  using Watch = std::function<void(int64_t batch, NodeId, const Environment&)>;
  /// Sees what a batch's run gave, on the device.
  using See = std::function<void(int64_t batch, const Environment&)>;

  virtual ~InputSource() = default;
  /// Those that reach the present block in both streams.
  virtual int64_t batches() const = 0;
  /// Brings both streams to the block's border.
  virtual void reach(size_t block) = 0;
  /// Runs the block in the FP stream; its outputs are then beside its inputs in fp(), but for those that are computed
  /// anew when they are compared.
  virtual void run_fp(size_t block, const Watch& watch) = 0;
  /// Runs the block in the quantized stream and shows its outputs. Later blocks get those of the last run, and what no
  /// block reads is dropped: nothing is run where all is, and nobody sees it. Without hooks it uses the present weights.
  virtual void run_quant(size_t block, const RunHooks& hooks, const See& see) = 0;
  /// The block's activations out in the FP stream: where they wait, or computed anew on the device.
  virtual std::vector<at::Tensor> fp_outputs(size_t block, int64_t batch) = 0;
  /// Drops the values that only this block reads.
  virtual void leave(size_t block) = 0;
  virtual const Interpreter& interpreter(size_t block) const = 0;
  /// padding_mask of the batch, on the device.
  virtual at::Tensor mask(int64_t batch) const = 0;
  /// The streams' values, wherever they are kept.
  virtual const Environment& fp(int64_t batch) const = 0;
  virtual const Environment& quant(int64_t batch) const = 0;
  /// A parameter, buffer or constant of the quantized model, on the device; fetched once per block.
  virtual at::Tensor quant_state(ValueId value) = 0;
};

}  // namespace adascale
