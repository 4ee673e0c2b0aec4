#pragma once
#include <set>
#include <vector>

#include "adascale/tune/call_graph.h"

namespace adascale {

/// The sources of the data of one call's stations. A station is a child call with layers, or a
/// layer that the call applies itself.
struct CallFlow {
  static constexpr int kOwnInput = -1;  ///< the call's own activations, as a source
  using Sources = std::set<int>;        ///< indices of stations, or kOwnInput

  std::vector<CallId> stations;  ///< kNone: a layer of the call's own
  std::vector<Sources> sources;  ///< by station
  Sources output_sources;

  /// Whether each station, and the output, has at most one source.
  bool is_chain() const;
};

CallFlow trace_flow(const CallGraph& graph, CallId call);

/// The calls that the block rule picks, in execution order. docs/blocks.md has the rule.
std::vector<CallId> pick_blocks(const CallGraph& graph);

}  // namespace adascale
