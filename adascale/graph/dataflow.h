#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The order between nodes that edges do not show: in-place operators.
///
/// A node that writes into a tensor depends on every earlier reader of that tensor or a view of it,
/// and every later reader depends on the writer.
class Dataflow {
 public:
  explicit Dataflow(const Program& program);

  /// All nodes that must run directly before `node`: the producers of its
  /// operands, and the in-place order.
  const std::vector<NodeId>& needs(NodeId node) const { return needs_[node]; }
  /// The value whose storage `value` shares through views and in-place results;
  /// `value` itself when it owns it.
  ValueId storage_root(ValueId value) const { return roots_[value]; }
  /// The values whose storage `node` overwrites.
  const std::vector<ValueId>& overwrites(NodeId node) const { return overwrites_[node]; }
  /// The nodes, in execution order, that compute `wanted`; it does not go past nodes in
  /// `done`. If a node overwrites part of a wanted value that is read again later
  /// (`x[:, 0] = 0`), that node is included.
  std::vector<NodeId> ancestors(const std::vector<ValueId>& wanted, const std::set<NodeId>& done) const;

 private:
  void connect(NodeId node);
  void share_storage(NodeId node, const std::vector<std::pair<size_t, std::string>>& shared);
  std::vector<NodeId> makers(ValueId value) const;

  struct Access {
    NodeId last_writer = kNone;
    std::vector<NodeId> readers;  // since that write
    std::vector<NodeId> writers;  // all of them
  };

  const Program& program_;
  std::vector<Access> accesses_;  // by storage root
  std::vector<std::vector<ValueId>> overwrites_;
  std::vector<std::vector<NodeId>> needs_;
  std::vector<ValueId> roots_;
};

}  // namespace adascale
