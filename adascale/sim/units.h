#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/number_flow.h"

namespace adascale {

using UnitId = int32_t;  ///< index into UnitGraph::units()

/// A value that leaves a unit, and its index among the outputs: its place among the results of the
/// operator that makes all of them, or its order of leaving when several operators do.
struct UnitOutput {
  ValueId value;
  int index;
};

/// The unit of quantization: a call of a module without child modules, or one operator that a
/// module with children (or the root) applies itself.
struct Unit {
  std::string name;  ///< "encoder.fc1", "fc@1" for a second call; an operator's node name, "add_2"
  std::string path;  ///< of the module that it is or that applies it
  std::string type;  ///< AIMET's op type; empty when it has none
  DataRole role = DataRole::kComputes;
  std::vector<NodeId> nodes;
  /// User-dependent float tensors; for a unit that computes, only those it made.
  std::vector<UnitOutput> outputs;
};

/// A program as units, in execution order of their first nodes. Refers to the Program.
class UnitGraph {
 public:
  explicit UnitGraph(const Program& program);

  const Program& program() const { return program_; }
  const NumberFlow& flow() const { return flow_; }
  const std::vector<Unit>& units() const { return units_; }
  UnitId unit_of(NodeId node) const { return unit_of_[node]; }
  /// The units other than its maker that read the value's numbers, in execution order.
  std::vector<UnitId> readers(ValueId value) const;
  /// User-dependent float tensors that enter the unit, in order.
  std::vector<ValueId> inputs(UnitId unit) const;

 private:
  void form_units();
  void describe(Unit& unit) const;
  void find_outputs(UnitId unit);
  bool leaves(ValueId value, UnitId unit) const;
  bool is_made_in(ValueId value, UnitId unit) const;

  const Program& program_;
  NumberFlow flow_;
  std::vector<Unit> units_;
  std::vector<UnitId> unit_of_;  // by node
};

}  // namespace adascale
