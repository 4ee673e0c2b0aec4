#pragma once
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/op_types.h"

namespace adascale {

/// Where the numbers of a program's values come from and where they go; shapes do not
/// count. Refers to the Program.
class NumberFlow {
 public:
  explicit NumberFlow(const Program& program);

  /// Whether it is a float tensor made from the numbers, not only the shapes, of the user's input.
  bool is_data(ValueId value) const {
    return program_.values[value].is_float_tensor() && made_from_user_[value];
  }
  /// Whether the program returns, or writes in place, a value made from this value's numbers.
  bool is_live(ValueId value) const { return is_live_[value]; }
  /// The nodes on the way there that read the value's numbers, in execution order.
  const std::vector<NodeId>& readers(ValueId value) const { return readers_[value]; }
  /// The values whose numbers `node` reads, in order.
  const std::vector<ValueId>& numbers_read(NodeId node) const { return numbers_read_[node]; }
  /// The role of `node`; for casts and copies it depends on their operands.
  DataRole role(NodeId node) const { return roles_[node]; }
  /// The float tensor whose numbers `value` holds, rearranged; kNone when its own node computed them.
  ValueId moved_from(ValueId value) const;
  /// moved_from to the end.
  ValueId source(ValueId value) const;

 private:
  void note_reads(NodeId id);
  void note_dependence(NodeId id);
  void note_write_in_place(NodeId id);
  void note_life();

  const Program& program_;
  std::vector<bool> made_from_user_, holds_user_, is_live_;  // by value; zeros filled in place only hold
  std::vector<std::vector<NodeId>> readers_;                 // by value
  std::vector<std::vector<ValueId>> numbers_read_;           // by node
  std::vector<DataRole> roles_;                              // by node
};

}  // namespace adascale
