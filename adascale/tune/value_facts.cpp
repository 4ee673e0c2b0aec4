#include "adascale/tune/value_facts.h"

#include <algorithm>

#include "adascale/tune/layer_ops.h"

namespace adascale {
namespace {

std::vector<ValueId> tensors_of(const Program& program, std::vector<ValueId> values) {
  const auto is_other = [&](ValueId v) { return program.values[v].kind != ValueKind::kTensor; };
  values.erase(std::remove_if(values.begin(), values.end(), is_other), values.end());
  return values;
}

}  // namespace

ValueFacts::ValueFacts(const Program& program) {
  const size_t values = program.values.size(), nodes = program.nodes.size();
  for (auto* flags : {&from_user_, &from_parameter_, &is_data_, &is_state_, &is_returned_})
    flags->resize(values);
  rank_.resize(values, Rank::kPlain);
  is_layer_.resize(nodes);
  numbers_read_.resize(nodes);
  tensors_read_.resize(nodes);
  note_inputs(program);
  for (NodeId id = 0; id < static_cast<NodeId>(nodes); ++id) note_node(program, id);
  for (const Argument& output : program.outputs) {
    if (output.kind == Argument::Kind::kValue) is_returned_[output.value] = true;
  }
}

void ValueFacts::note_inputs(const Program& program) {
  for (const ProgramInput& input : program.inputs) {
    if (input.value == kNone) continue;
    const bool is_user = input.kind == ProgramInput::Kind::kUser;
    const bool is_parameter = input.kind == ProgramInput::Kind::kParameter;
    from_user_[input.value] = is_user;
    is_state_[input.value] = !is_user;
    from_parameter_[input.value] = is_parameter;
    rank_[input.value] = is_parameter ? Rank::kParameter : Rank::kPlain;
    is_data_[input.value] = is_user && program.values[input.value].is_float_tensor();
  }
}

void ValueFacts::note_node(const Program& program, NodeId id) {
  const Node& node = program.nodes[id];
  const OpRole role = traits_of(node.op()).role;
  const std::vector<ValueId> reads = tensors_read_[id] = tensors_of(program, node.reads());
  if (role != OpRole::kShapeOnly) numbers_read_[id] = reads;
  is_layer_[id] = applies_parameter(node);

  bool from_user = false;
  Rank rank = is_layer_[id] ? Rank::kLayer : Rank::kPlain;
  for (ValueId value : numbers_read_[id]) {
    from_user = from_user || from_user_[value];
    rank = std::max(rank, rank_[value]);
  }
  const bool is_parameter = role == OpRole::kView && !reads.empty() && from_parameter_[reads.front()];
  for (ValueId value : node.writes()) {
    from_user_[value] = from_user;
    from_parameter_[value] = is_parameter;
    rank_[value] = rank;
    is_data_[value] = from_user && program.values[value].is_float_tensor();
  }
}

bool ValueFacts::applies_parameter(const Node& node) const {
  const OpTraits& traits = traits_of(node.op());
  const auto is_parameter = [&](const std::string& name) { return holds_parameter(node.input(name)); };
  const auto count = std::count_if(traits.weights.begin(), traits.weights.end(), is_parameter);
  // A product of two parameters is part of a weight, not a layer.
  return traits.role == OpRole::kMatmul ? count == 1 : count > 0;
}

bool ValueFacts::holds_parameter(const Argument* operand) const {
  if (operand == nullptr) return false;
  if (operand->kind == Argument::Kind::kValue) return from_parameter_[operand->value];
  const auto& items = operand->items;
  return std::any_of(items.begin(), items.end(),
                     [&](const Argument& item) { return holds_parameter(&item); });
}

}  // namespace adascale
