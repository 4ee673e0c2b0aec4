#include "adascale/tune/activation_memory.h"

#include <algorithm>

#include "adascale/graph/size_expression.h"

namespace adascale {
namespace {

constexpr int64_t kStreams = 2;  // float and quantized

SymbolSizes sizes_in(const Program& program, const Inputs& batch) {
  SymbolSizes sizes;
  const auto inputs = program.user_inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->value == kNone || !batch[i].isTensor()) continue;
    const Value& value = program.values[inputs[i]->value];
    for (size_t d = 0; d < value.sizes.size(); ++d)
      if (!value.sizes[d].is_fixed())
        sizes[value.sizes[d].symbol] = batch[i].toTensor().size(static_cast<int64_t>(d));
  }
  return sizes;
}

int64_t bytes_of(const Value& value, const SymbolSizes& symbols) {
  if (value.kind != ValueKind::kTensor) return 0;
  auto bytes = static_cast<int64_t>(c10::elementSize(value.dtype));
  for (const Dim& dim : value.sizes)
    bytes *= dim.is_fixed() ? dim.size : evaluate_expression(dim.symbol, symbols).value_or(dim.size);
  return bytes;
}

int64_t border_bytes(const Program& program, const Block& block, const SymbolSizes& symbols) {
  int64_t bytes = 0;
  for (const auto* side : {&block.activations_in, &block.side_in, &block.activations_out, &block.side_out})
    for (const ValueId value : *side) bytes += bytes_of(program.values[value], symbols);
  return bytes;
}

}  // namespace

int64_t estimate_activation_bytes(const Program& program, const std::vector<Block>& blocks,
                                  const std::vector<Inputs>& batches) {
  const SymbolSizes symbols = sizes_in(program, batches.front());
  int64_t largest = 0;
  for (const Block& block : blocks) largest = std::max(largest, border_bytes(program, block, symbols));
  return kStreams * static_cast<int64_t>(batches.size()) * largest;
}

}  // namespace adascale
