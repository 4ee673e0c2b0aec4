#include "adascale/sim/number_flow.h"

#include <algorithm>

namespace adascale {
namespace {

/// The operand whose numbers a moving operator passes on; kNone when that is not a value.
ValueId moved_operand(const Node& node) {
  const Argument* copied = node.input("src");  // copy_ writes its second operand into the first
  if (copied != nullptr && copied->kind == Argument::Kind::kValue) return copied->value;
  const auto reads = node.reads();
  return reads.empty() ? kNone : reads.front();
}

/// `view_as`, `expand_as`, `type_as` take no numbers from their second operand.
bool reads_first_operand_only(const std::string& op) {
  return op.ends_with("_as");
}

}  // namespace

NumberFlow::NumberFlow(const Program& program)
    : program_(program),
      made_from_user_(program.values.size()),
      holds_user_(program.values.size()),
      is_live_(program.values.size()),
      readers_(program.values.size()),
      numbers_read_(program.nodes.size()),
      roles_(program.nodes.size()) {
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone) made_from_user_[input->value] = holds_user_[input->value] = true;
  for (NodeId id = 0; id < static_cast<NodeId>(program.nodes.size()); ++id) {
    note_reads(id);
    note_dependence(id);
  }
  note_life();
}

void NumberFlow::note_reads(NodeId id) {
  const Node& node = program_.nodes[id];
  const std::string op = node.op();
  roles_[id] = op_type_of(op).role;
  if (roles_[id] == DataRole::kShapeOnly) return;
  numbers_read_[id] = node.reads();
  if (reads_first_operand_only(op)) numbers_read_[id] = {numbers_read_[id].front()};
  const bool moves = roles_[id] == DataRole::kMoves || roles_[id] == DataRole::kForwards;
  const ValueId operand = moves ? moved_operand(node) : kNone;
  // A cast of integers or booleans makes new numbers.
  if (moves && (operand == kNone || !program_.values[operand].is_float_tensor()))
    roles_[id] = DataRole::kComputes;
}

void NumberFlow::note_dependence(NodeId id) {
  const auto& reads = numbers_read_[id];
  if (std::none_of(reads.begin(), reads.end(), [&](ValueId value) { return holds_user_[value]; })) return;
  for (const ValueId value : program_.nodes[id].writes()) made_from_user_[value] = holds_user_[value] = true;
  if (is_in_place(program_.nodes[id].op())) note_write_in_place(id);
}

/// From here on the tensor written into, and the tensor it is a view of, hold the user's numbers.
void NumberFlow::note_write_in_place(NodeId id) {
  const auto reads = program_.nodes[id].reads();
  for (ValueId value = reads.empty() ? kNone : reads.front(); value != kNone; value = moved_from(value))
    holds_user_[value] = true;
}

void NumberFlow::note_life() {
  for (ValueId id = 0; id < static_cast<ValueId>(program_.values.size()); ++id)
    is_live_[id] = program_.is_output(id);
  for (NodeId id = static_cast<NodeId>(program_.nodes.size()) - 1; id >= 0; --id) {
    const Node& node = program_.nodes[id];
    const auto writes = node.writes();
    const bool matters =
        is_in_place(node.op()) ||
        std::any_of(writes.begin(), writes.end(), [&](ValueId value) { return is_live_[value]; });
    if (!matters) continue;
    for (const ValueId value : numbers_read_[id]) {
      is_live_[value] = true;
      readers_[value].push_back(id);
    }
  }
  for (auto& nodes : readers_) std::reverse(nodes.begin(), nodes.end());
}

ValueId NumberFlow::moved_from(ValueId value) const {
  const NodeId producer = program_.values[value].producer;
  if (producer == kNone || !program_.values[value].is_float_tensor()) return kNone;
  const bool moves = roles_[producer] == DataRole::kMoves || roles_[producer] == DataRole::kForwards;
  return moves ? moved_operand(program_.nodes[producer]) : kNone;
}

ValueId NumberFlow::source(ValueId value) const {
  for (ValueId before = moved_from(value); before != kNone; before = moved_from(value)) value = before;
  return value;
}

}  // namespace adascale
