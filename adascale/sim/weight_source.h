#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// What an operand is made of, when that is one parameter: seen through views, casts and selections.
struct WeightSource {
  ValueId parameter = kNone;
  /// By axis of the operand: the parameter's axes, outermost first, that run along it; none
  /// where it is the views' own.
  std::vector<std::vector<int64_t>> axes;
  std::vector<NodeId> views;  ///< on the way, execution order
  std::string obstacle;       ///< what on the way computes, or views in a way not known; empty: none
};

/// The parameter behind a value; `parameter` is kNone when there is none.
WeightSource weight_source(const Program& program, ValueId value);

/// By value: a parameter that it is computed from, whatever the computation, where nothing that the user
/// feeds in goes into it; kNone elsewhere.
std::vector<ValueId> parameters_behind(const Program& program);

}  // namespace adascale
