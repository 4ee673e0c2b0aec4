#include "adascale/graph/program.h"

namespace adascale {
namespace {

void link_values(Program& program) {
  for (Value& value : program.values) value.producer = kNone, value.input = kNone, value.users.clear();
  for (size_t i = 0; i < program.inputs.size(); ++i)
    if (program.inputs[i].value != kNone)
      program.values[program.inputs[i].value].input = static_cast<int32_t>(i);
  for (NodeId id = 0; id < static_cast<NodeId>(program.nodes.size()); ++id) {
    for (ValueId value : program.nodes[id].reads()) program.values[value].users.push_back(id);
    for (ValueId value : program.nodes[id].writes()) program.values[value].producer = id;
  }
}

void link_calls(Program& program) {
  for (ModuleCall& call : program.calls) call.children.clear(), call.nodes.clear();
  for (CallId id = 0; id < static_cast<CallId>(program.calls.size()); ++id) {
    const CallId parent = program.calls[id].parent;
    if (parent != kNone) program.calls[parent].children.push_back(id);
  }
  for (NodeId id = 0; id < static_cast<NodeId>(program.nodes.size()); ++id) {
    for (CallId call = program.nodes[id].call; call != kNone; call = program.calls[call].parent) {
      program.calls[call].nodes.push_back(id);
    }
  }
}

}  // namespace

void link(Program& program) {
  link_values(program);
  link_calls(program);
}

}  // namespace adascale
