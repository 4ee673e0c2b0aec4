#include "adascale/graph/dataflow.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "adascale/graph/aliasing.h"

namespace adascale {
namespace {

void sort_unique(std::vector<NodeId>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace

Dataflow::Dataflow(const Program& program)
    : program_(program),
      accesses_(program.values.size()),
      overwrites_(program.nodes.size()),
      needs_(program.nodes.size()),
      roots_(program.values.size()) {
  std::iota(roots_.begin(), roots_.end(), 0);
  AliasRules rules;
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node) {
    overwrites_[node] = rules.overwritten(program.nodes[node]);
    connect(node);
    share_storage(node, rules.of(program.nodes[node]).shared);
  }
}

void Dataflow::connect(NodeId node) {
  std::vector<NodeId>& needs = needs_[node];
  const auto need = [&](NodeId other) {
    if (other != kNone && other != node) needs.push_back(other);
  };
  for (ValueId value : program_.nodes[node].reads()) {
    Access& access = accesses_[roots_[value]];
    need(program_.values[value].producer);
    need(access.last_writer);
    access.readers.push_back(node);
  }
  for (ValueId value : overwrites_[node]) {
    Access& access = accesses_[roots_[value]];
    for (NodeId reader : access.readers) need(reader);
    access.readers.clear();
    access.last_writer = node;
    access.writers.push_back(node);
  }
  sort_unique(needs);
}

void Dataflow::share_storage(NodeId node, const std::vector<std::pair<size_t, std::string>>& shared) {
  const Node& described = program_.nodes[node];
  for (const auto& [result, name] : shared) {
    const Argument* operand = described.input(name);
    if (!operand || result >= described.outputs.size()) continue;
    const std::vector<ValueId> bases = values_in(*operand);
    const std::vector<ValueId>& made = described.outputs[result].values;
    for (size_t i = 0; i < made.size() && !bases.empty(); ++i) {
      // A list made of a list (broadcast_tensors) shares item by item; pieces of one
      // tensor all share that tensor.
      if (made[i] != kNone) roots_[made[i]] = roots_[bases[std::min(i, bases.size() - 1)]];
    }
  }
}

std::vector<NodeId> Dataflow::makers(ValueId value) const {
  const Value& described = program_.values[value];
  std::vector<NodeId> nodes;
  if (described.producer != kNone) nodes.push_back(described.producer);
  const NodeId last_read = program_.is_output(value) ? std::numeric_limits<NodeId>::max()
                           : described.users.empty() ? kNone
                                                     : described.users.back();
  for (NodeId writer : accesses_[roots_[value]].writers) {
    if (writer > described.producer && writer < last_read) nodes.push_back(writer);
  }
  return nodes;
}

std::vector<NodeId> Dataflow::ancestors(const std::vector<ValueId>& wanted,
                                        const std::set<NodeId>& done) const {
  std::vector<NodeId> pending;
  for (ValueId value : wanted) {
    for (NodeId node : makers(value)) pending.push_back(node);
  }
  std::set<NodeId> found;
  while (!pending.empty()) {
    const NodeId node = pending.back();
    pending.pop_back();
    if (done.count(node) || !found.insert(node).second) continue;
    pending.insert(pending.end(), needs_[node].begin(), needs_[node].end());
  }
  return {found.begin(), found.end()};
}

}  // namespace adascale
