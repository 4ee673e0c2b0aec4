#include "adascale/sim/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace adascale {
namespace {

/// Whether the call's nodes read state below its path: "attn.out_proj.weight" in "attn" reveals a
/// child module that is never called, as in torch's MultiheadAttention.
bool reads_state_of_children(const Program& program, const ModuleCall& call) {
  const std::string prefix = call.path + ".";
  for (const NodeId id : call.nodes) {
    for (const ValueId value : program.nodes[id].reads()) {
      const ProgramInput* input = program.input_of(value);
      const bool inside = input != nullptr && input->name.starts_with(prefix);
      if (inside && input->name.find('.', prefix.size()) != std::string::npos) return true;
    }
  }
  return false;
}

/// Calls that are one unit each: not the root, and without child modules.
std::vector<bool> leaf_calls(const Program& program) {
  std::vector<bool> leaf;
  for (const ModuleCall& call : program.calls)
    leaf.push_back(!call.path.empty() && call.children.empty() && !reads_state_of_children(program, call));
  return leaf;
}

std::set<std::string> module_paths(const Program& program) {
  std::set<std::string> paths;
  for (const ModuleCall& call : program.calls) paths.insert(call.path);
  return paths;
}

/// A module that normalizes by the root mean square, written out in single operators.
bool is_rms_norm(const std::set<std::string>& ops) {
  return ops.contains("aten::rsqrt") && ops.contains("aten::mean") && !ops.contains("aten::sub");
}

}  // namespace

UnitGraph::UnitGraph(const Program& program)
    : program_(program), flow_(program), unit_of_(program.nodes.size()) {
  form_units();
  for (Unit& unit : units_) describe(unit);
  for (UnitId id = 0; id < static_cast<UnitId>(units_.size()); ++id) find_outputs(id);
}

void UnitGraph::form_units() {
  const auto is_leaf = leaf_calls(program_);
  const auto modules = module_paths(program_);
  std::map<CallId, UnitId> of_call;
  for (NodeId id = 0; id < static_cast<NodeId>(program_.nodes.size()); ++id) {
    const Node& node = program_.nodes[id];
    const bool in_leaf = node.call != kNone && is_leaf[node.call];
    const auto next = static_cast<UnitId>(units_.size());
    unit_of_[id] = in_leaf ? of_call.try_emplace(node.call, next).first->second : next;
    if (unit_of_[id] == next) {
      // A node may have a module's name; the module keeps it.
      const std::string name = modules.contains(node.name) ? "functional." + node.name : node.name;
      const std::string path = node.call == kNone ? "" : program_.calls[node.call].path;
      units_.push_back({.name = in_leaf ? program_.calls[node.call].label() : name, .path = path});
    }
    units_[unit_of_[id]].nodes.push_back(id);
  }
}

/// The type and role of its only computing operator; of several, those of their combination.
void UnitGraph::describe(Unit& unit) const {
  std::set<std::string> computing;
  int count = 0;
  unit.role = DataRole::kShapeOnly;
  for (const NodeId id : unit.nodes) {
    const auto writes = program_.nodes[id].writes();
    const bool has_data =
        std::any_of(writes.begin(), writes.end(), [&](ValueId value) { return flow_.is_data(value); });
    const DataRole role = flow_.role(id);
    if (role == DataRole::kShapeOnly || !has_data) continue;
    const std::string op = program_.nodes[id].op();
    if (role == DataRole::kComputes) computing.insert(op), ++count;
    const bool is_weightier = role < unit.role;  // computes before moves before forwards
    if (is_weightier) unit.type = op_type_of(op).onnx_type, unit.role = role;
  }
  if (count > 1) unit.type = is_rms_norm(computing) ? "RMSNormalization" : "";
}

bool UnitGraph::leaves(ValueId value, UnitId unit) const {
  if (!flow_.is_data(value) || !flow_.is_live(value)) return false;
  const auto& readers = flow_.readers(value);
  return program_.is_output(value) ||
         std::any_of(readers.begin(), readers.end(), [&](NodeId reader) { return unit_of_[reader] != unit; });
}

/// Whether it is neither passed through from outside nor a view of another value that leaves.
bool UnitGraph::is_made_in(ValueId value, UnitId unit) const {
  for (ValueId before = flow_.moved_from(value); before != kNone; before = flow_.moved_from(before)) {
    const NodeId producer = program_.values[before].producer;
    if (producer == kNone || unit_of_[producer] != unit || leaves(before, unit)) return false;
  }
  return true;
}

void UnitGraph::find_outputs(UnitId id) {
  Unit& unit = units_[id];
  std::set<NodeId> makers;
  for (const NodeId node : unit.nodes) {
    int position = 0;
    for (const NodeOutput& output : program_.nodes[node].outputs) {
      for (const ValueId value : output.values) {
        const int index = position++;
        if (value == kNone || !leaves(value, id)) continue;
        if (unit.role == DataRole::kComputes && !is_made_in(value, id)) continue;
        unit.outputs.push_back({value, index});
        makers.insert(node);
      }
    }
  }
  if (makers.size() <= 1) return;  // one operator's results keep their places, unused ones included
  for (size_t i = 0; i < unit.outputs.size(); ++i) unit.outputs[i].index = static_cast<int>(i);
}

std::vector<UnitId> UnitGraph::readers(ValueId value) const {
  const NodeId producer = program_.values[value].producer;
  const UnitId maker = producer == kNone ? kNone : unit_of_[producer];
  std::vector<UnitId> found;
  for (const NodeId reader : flow_.readers(value)) {
    const UnitId unit = unit_of_[reader];
    if (unit != maker && std::find(found.begin(), found.end(), unit) == found.end()) found.push_back(unit);
  }
  return found;
}

std::vector<ValueId> UnitGraph::inputs(UnitId id) const {
  std::vector<ValueId> found;
  for (const NodeId node : units_[id].nodes) {
    for (const ValueId value : flow_.numbers_read(node)) {
      const NodeId producer = program_.values[value].producer;
      const bool from_outside = producer == kNone || unit_of_[producer] != id;
      const bool is_new = std::find(found.begin(), found.end(), value) == found.end();
      if (from_outside && is_new && flow_.is_data(value)) found.push_back(value);
    }
  }
  return found;
}

}  // namespace adascale
