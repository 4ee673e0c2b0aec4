#include "adascale/sim/token_logits.h"

#include <ATen/TensorOperators.h>

#include "adascale/graph/dataflow.h"

namespace adascale {
namespace {

/// Whether `node` looks up `input`, or a view of it, in a table of `rows` rows.
bool looks_up(const Program& program, const Dataflow& flow, const Node& node, ValueId input, int64_t rows) {
  if (node.op() != "aten::embedding") return false;
  const Argument* weight = node.input("weight");
  const Argument* indices = node.input("indices");
  if (weight == nullptr || indices == nullptr || indices->value == kNone || weight->value == kNone)
    return false;
  const Dim& table = program.values[weight->value].sizes.at(0);
  return table.is_fixed() && table.size == rows && flow.storage_root(indices->value) == input;
}

bool is_looked_up(const Program& program, const Dataflow& flow, ValueId input, int64_t rows) {
  for (const Node& node : program.nodes)
    if (looks_up(program, flow, node, input, rows)) return true;
  return false;
}

bool is_per_token(const Value& value) {
  return value.kind == ValueKind::kTensor && value.sizes.size() == 2;
}

bool has_shape(const c10::IValue& input, int64_t batch, int64_t seq) {
  return input.isTensor() && input.toTensor().sizes() == at::IntArrayRef({batch, seq});
}

}  // namespace

std::optional<TokenInputs> token_inputs(const Program& program, ValueId output) {
  const Value& logits = program.values[output];
  if (!logits.is_float_tensor() || logits.sizes.size() != 3 || !logits.sizes[2].is_fixed())
    return std::nullopt;
  const Dataflow flow(program);
  const auto inputs = program.user_inputs();
  TokenInputs tokens{.ids = {}, .mask = padding_input(program)};
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->value == kNone || !is_per_token(program.values[inputs[i]->value])) continue;
    if (program.values[inputs[i]->value].dtype == c10::ScalarType::Long &&
        is_looked_up(program, flow, inputs[i]->value, logits.sizes[2].size))
      tokens.ids.push_back(i);
  }
  if (tokens.ids.empty()) return std::nullopt;
  return tokens;
}

at::Tensor ids_of(const TokenInputs& tokens, const Inputs& inputs, const at::Tensor& logits) {
  at::Tensor ids;
  for (const size_t i : tokens.ids) {
    if (!has_shape(inputs[i], logits.size(0), logits.size(1))) continue;
    if (ids.defined()) return {};
    ids = inputs[i].toTensor();
  }
  return ids;
}

at::Tensor mask_of(const TokenInputs& tokens, const Inputs& inputs, const at::Tensor& ids) {
  if (!tokens.mask || !has_shape(inputs[*tokens.mask], ids.size(0), ids.size(1))) return {};
  return inputs[*tokens.mask].toTensor().ne(0);
}

std::optional<size_t> padding_input(const Program& program) {
  const auto inputs = program.user_inputs();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i]->name == "attention_mask" && inputs[i]->value != kNone &&
        is_per_token(program.values[inputs[i]->value]))
      return i;
  return std::nullopt;
}

at::Tensor padding_mask(const Program& program, const Inputs& inputs) {
  const std::optional<size_t> input = padding_input(program);
  if (!input) return {};
  const at::Tensor keep = inputs[*input].toTensor().ne(0);
  return keep.all().item<bool>() || !keep.any().item<bool>() ? at::Tensor() : keep;
}

}  // namespace adascale
