#include "adascale/tune/activation_memory.h"

#include <algorithm>
#include <set>

#include "adascale/quant/group_pass.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/tune/batch_sizes.h"
#include "adascale/tune/stages.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

constexpr int64_t kStreams = 2;  // float and quantized

int64_t bytes_of(const Value& value, const SymbolSizes& symbols) {
  if (value.kind != ValueKind::kTensor) return 0;
  return static_cast<int64_t>(c10::elementSize(value.dtype)) * elements_of(value, symbols);
}

int64_t bytes_of(const Program& program, const std::vector<ValueId>& values, const SymbolSizes& symbols) {
  int64_t bytes = 0;
  for (const ValueId value : values) bytes += bytes_of(program.values[value], symbols);
  return bytes;
}

// Per fp32 weight in training by tensor operators: itself, s2 and its gradient, the quantized
// weight and its gradient, three tensors that autograd keeps for division and rounding, the steps'
// lengths, and their temporaries while one weight moves. Measured: tests/device/test_memory.py.
constexpr int64_t kBytesPerWeight = 48, kBytesOfMoments = 8;
// By a GPU's kernels: s2, the quantized weight and its gradient, and the temporaries of one weight while it is encoded.
// Measured on an H100: 16 of an fp32 weight (tests/gpu/test_gpu_memory.py), 11 of a bf16 one with its block's
// activations (bench/gpu.py).
constexpr int64_t kBytesByGroupKernels = 24;
constexpr int64_t kCopiesOfActivations = 2;  // themselves and their gradients
// Inputs: this batch's and the next one's in both streams. Outputs: likewise the targets,
// and the loss's temporaries.
constexpr int64_t kCopiesOfInputs = 3, kCopiesOfOutputs = 6;

int64_t bytes_per_weight(const QuantizationSimModel& sim, const QuantizedWeight& weight, UpdateRule update) {
  const at::Tensor& parameter = sim.state(weight.layer.parameters.front());
  const Grid rows = RowLayout(parameter.sizes(), weight.grid).grid();
  const bool by_kernels = group_kernels_are_on(sim.program().device) &&
                          parameter.scalar_type() != at::kDouble &&
                          GroupPass::takes(rows, weight.layer.kind->has_s4);
  return (by_kernels ? kBytesByGroupKernels : kBytesPerWeight) +
         (update == UpdateRule::kAdam ? kBytesOfMoments : 0);
}

int64_t training_bytes(const QuantizationSimModel& sim, const Block& block, const SymbolSizes& symbols,
                       UpdateRule update) {
  const Program& program = sim.program();
  const std::vector<int32_t> trained = weights_to_train(sim, block);
  std::set<ValueId> state;
  int64_t bytes = 0;
  for (const ValueId value : block.activations_in)
    bytes += kCopiesOfInputs * bytes_of(program.values[value], symbols);
  for (const ValueId value : block.activations_out)
    bytes += kCopiesOfOutputs * bytes_of(program.values[value], symbols);
  for (const NodeId node : block.nodes) {
    for (const ValueId value : program.nodes[node].writes())
      bytes += kCopiesOfActivations * bytes_of(program.values[value], symbols);
    for (const ValueId value : program.nodes[node].reads()) {
      const ProgramInput* input = program.input_of(value);
      if (input == nullptr || input->kind == ProgramInput::Kind::kUser || !state.insert(value).second)
        continue;
      const at::Tensor& tensor = program.state.at(input->name);
      const int32_t weight = sim.weight_of(value);
      const bool is_trained = std::count(trained.begin(), trained.end(), weight) > 0;
      bytes += is_trained ? bytes_per_weight(sim, sim.weights()[weight], update) * tensor.numel()
                          : static_cast<int64_t>(tensor.nbytes());
      // A layer of its own may compute its FP outputs anew.
      if (is_trained && block.call == kNone) bytes += static_cast<int64_t>(tensor.nbytes());
    }
  }
  return bytes;
}

}  // namespace

int64_t estimate_block_bytes(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                             const std::vector<Inputs>& batches, UpdateRule update) {
  int64_t largest = 0;
  for (const auto& [symbols, count] : count_sizes(sim.program(), batches))
    for (const Block& block : blocks)
      largest = std::max(largest, training_bytes(sim, block, symbols, update));
  return largest;
}

namespace {

/// Of all batches in both streams, while the block trains; `compared`: outputs that the loss alone reads.
int64_t activation_bytes(const Program& program, const Block& block, const std::vector<ValueId>& compared,
                         const SymbolSizes& symbols, bool is_whole) {
  int64_t inputs = 0, outputs = 0;
  for (const auto* side : {&block.activations_in, &block.side_in})
    inputs += bytes_of(program, *side, symbols);
  for (const auto* side : {&block.activations_out, &block.side_out})
    outputs += bytes_of(program, *side, symbols);
  const int64_t alone = bytes_of(program, compared, symbols);
  // Of the float stream.
  const int64_t kept_alone = may_compute_anew(program, block, compared, alone, inputs) ? 0 : alone;
  const int64_t live = is_whole ? 0 : outputs;
  return kStreams * (inputs + outputs - alone) + kept_alone + live;
}

}  // namespace

int64_t estimate_activation_bytes(const Program& program, const std::vector<Block>& blocks,
                                  const std::vector<Inputs>& batches, bool is_whole) {
  const auto counts = count_sizes(program, batches);
  const StageNodes stages =
      stages_of(program, Dataflow(program), blocks, std::vector<bool>(program.nodes.size()));
  const auto compared = only_compared(blocks, last_stages(program, stages));
  int64_t largest = 0;
  for (size_t block = 0; block < blocks.size(); ++block) {
    int64_t bytes = 0;
    for (const auto& [symbols, count] : counts)
      bytes += count * activation_bytes(program, blocks[block], compared[block], symbols, is_whole);
    largest = std::max(largest, bytes);
  }
  return largest;
}

}  // namespace adascale
