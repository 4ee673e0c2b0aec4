#include "adascale/graph/program.h"

#include <fmt/format.h>

#include <algorithm>

namespace adascale {
namespace {

void add_once(std::vector<ValueId>& ids, ValueId id) {
  if (id != kNone && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

void collect_values(const Argument& argument, std::vector<ValueId>& ids) {
  if (argument.kind == Argument::Kind::kValue) add_once(ids, argument.value);
  for (const Argument& item : argument.items) collect_values(item, ids);
}

}  // namespace

std::string Node::op() const {
  const std::string prefix = "torch.ops.aten.";
  if (target.rfind(prefix, 0) != 0) return target;
  return "aten::" + target.substr(prefix.size(), target.find('.', prefix.size()) - prefix.size());
}

const Argument* Node::input(const std::string& argument_name) const {
  for (const NamedArgument& named : inputs) {
    if (named.name == argument_name) return &named.argument;
  }
  return nullptr;
}

std::vector<ValueId> Node::reads() const {
  std::vector<ValueId> ids;
  for (const NamedArgument& named : inputs) collect_values(named.argument, ids);
  return ids;
}

std::vector<ValueId> Node::writes() const {
  std::vector<ValueId> ids;
  for (const NodeOutput& output : outputs) {
    for (ValueId id : output.values) add_once(ids, id);
  }
  return ids;
}

std::string ModuleCall::label() const {
  const size_t at = key.rfind('@');
  return (path.empty() ? "(root)" : path) + (at == std::string::npos ? "" : key.substr(at));
}

std::vector<const ProgramInput*> Program::user_inputs() const {
  std::vector<const ProgramInput*> found;
  for (const ProgramInput& input : inputs) {
    if (input.kind == ProgramInput::Kind::kUser) found.push_back(&input);
  }
  return found;
}

const ProgramInput* Program::input_of(ValueId value) const {
  if (value == kNone || values[value].producer != kNone) return nullptr;
  const int32_t known = values[value].input;
  const bool is_linked = known != kNone && known < static_cast<int32_t>(inputs.size());
  if (is_linked && inputs[known].value == value) return &inputs[known];
  const auto found = std::find_if(inputs.begin(), inputs.end(),  // in the midst of an edit
                                  [&](const ProgramInput& input) { return input.value == value; });
  return found == inputs.end() ? nullptr : &*found;
}

bool Program::is_parameter(ValueId value) const {
  const ProgramInput* input = input_of(value);
  return input && input->kind == ProgramInput::Kind::kParameter;
}

bool Program::is_user_input(ValueId value) const {
  const ProgramInput* input = input_of(value);
  return input && input->kind == ProgramInput::Kind::kUser;
}

bool Program::is_output(ValueId value) const {
  return std::any_of(outputs.begin(), outputs.end(), [&](const Argument& output) {
    std::vector<ValueId> ids;
    collect_values(output, ids);
    return std::find(ids.begin(), ids.end(), value) != ids.end();
  });
}

ValueId Program::find_value(const std::string& name) const {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const Value& value) { return value.name == name; });
  return found == values.end() ? kNone : static_cast<ValueId>(found - values.begin());
}

std::string Program::where(NodeId node) const {
  const CallId call = nodes[node].call;
  return fmt::format("{} ({})", call == kNone ? "(root)" : calls[call].label(), nodes[node].name);
}

}  // namespace adascale
