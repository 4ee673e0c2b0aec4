#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/tune/value_facts.h"

namespace adascale {

/// The values at the border of a call that take part in training.
struct Activations {
  std::vector<ValueId> in;   ///< execution order of their first reader
  std::vector<ValueId> out;  ///< execution order
};

/// The module calls of a program, with their layers and the data that enter and leave them.
///
/// Keeps a reference to the Program, which must outlive it.
class CallGraph {
 public:
  explicit CallGraph(const Program& program);

  const Program& program() const { return program_; }
  const ValueFacts& facts() const { return facts_; }
  /// Whether `node` belongs to the call or to one inside it.
  bool contains(CallId call, NodeId node) const;
  /// Whether a node of the call makes `value`.
  bool makes(CallId call, ValueId value) const { return contains(call, program_.values[value].producer); }
  /// Whether `inner` is `outer` or a call inside it.
  bool encloses(CallId outer, CallId inner) const;

  /// Layers inside the call, execution order.
  const std::vector<NodeId>& layers(CallId call) const { return layers_[call]; }
  /// A call with fewer than two layers is never a block by the rule.
  bool is_leaf(CallId call) const { return layers_[call].size() < 2; }
  /// The children that are not leaves.
  std::vector<CallId> big_children(CallId call) const;
  /// The type, and for a Sequential, which has no class of its own, its children's types.
  const std::string& kind(CallId call) const { return kinds_[call]; }

  /// Data read inside and made outside.
  const std::vector<ValueId>& data_in(CallId call) const { return data_in_[call]; }
  /// Data made inside and read outside or returned.
  const std::vector<ValueId>& data_out(CallId call) const { return data_out_[call]; }
  /// data_in without values that other calls of the class also get: masks, rotary tables, time
  /// embeddings, encoder states. All of data_in when nothing would be left.
  const std::vector<ValueId>& own_data_in(CallId call) const { return own_data_in_[call]; }
  Activations activations(CallId call) const;

 private:
  using Reached = std::vector<bool>;  // by value
  enum class Route { kAnyNode, kAroundLayers };

  void number_calls();
  void name_kinds();
  void find_borders();
  void find_own_data();
  bool is_used_outside(CallId call, ValueId value) const;
  Reached reach(CallId call, const std::vector<ValueId>& starts, Route route) const;
  std::vector<ValueId> of_highest_rank(const std::vector<ValueId>& values) const;

  const Program& program_;
  const ValueFacts facts_;
  std::vector<int> begin_, end_;  // the numbers of a call and of all calls inside it: [begin, end)
  std::vector<std::string> kinds_;
  std::vector<std::vector<NodeId>> layers_;
  std::vector<std::vector<ValueId>> data_in_, data_out_, own_data_in_;
};

}  // namespace adascale
