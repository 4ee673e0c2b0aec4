#pragma once
#include <set>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// Order between nodes that the edges alone do not show: in-place operators.
///
/// A node that writes into a tensor depends on every earlier reader of that tensor or a view of it, and every later
/// reader depends on the writer.
class Dataflow {
 public:
  explicit Dataflow(const Program& program);

  /// All nodes that must run before `node`, directly: producers of what it reads, and the in-place order.
  const std::vector<NodeId>& needs(NodeId node) const { return needs_[node]; }
  /// The value whose storage `value` shares through views and in-place results; itself when it owns it.
  ValueId storage_root(ValueId value) const { return roots_[value]; }
  /// Nodes in execution order that making `wanted` takes, not going past nodes in `done`.
  std::vector<NodeId> ancestors(const std::vector<ValueId>& wanted, const std::set<NodeId>& done) const;

 private:
  const Program& program_;
  std::vector<std::vector<NodeId>> needs_;
  std::vector<ValueId> roots_;
};

}  // namespace adascale
