#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The origin of an operand that is made of one parameter, traced through views, casts and selections.
struct WeightSource {
  ValueId parameter = kNone;
  /// By axis of the operand: the parameter's axes, outermost first, that run along it; none for an
  /// axis that the views add.
  std::vector<std::vector<int64_t>> axes;
  std::vector<NodeId> views;  ///< on the way, execution order
  std::string obstacle;       ///< the reason when a step computes or is an unknown view; empty: none
};

/// The parameter behind a value; `parameter` is kNone when there is none.
WeightSource weight_source(const Program& program, ValueId value);

/// By value: a parameter from which it is computed, in any way, if no user input
/// takes part; kNone elsewhere.
std::vector<ValueId> parameters_behind(const Program& program);

}  // namespace adascale
