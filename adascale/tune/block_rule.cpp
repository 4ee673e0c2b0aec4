#include "adascale/tune/block_rule.h"

#include <algorithm>
#include <unordered_map>

namespace adascale {
namespace {

/// Applies the rule to the calls of one program, from the root down.
class BlockRule {
 public:
  explicit BlockRule(const CallGraph& graph) : graph_(graph), flows_(calls()), run_within_(calls()) {
    for (CallId call = 0; call < calls(); ++call) big_children_.push_back(graph.big_children(call));
    for (CallId call = 0; call < calls(); ++call) {
      if (!big_children_[call].empty()) flows_[call] = trace_flow(graph, call);
    }
    for (CallId call = 0; call < calls(); ++call) find_runs(call);
    // Parents stand before their children.
    for (CallId call = calls() - 1; call >= 0; --call) {
      for (CallId child : big_children_[call]) {
        run_within_[call] = std::max({run_within_[call], longest_run(child), run_within_[child]});
      }
    }
  }

  std::vector<CallId> pick() const {
    std::vector<CallId> blocks, pending;
    for (CallId call = calls() - 1; call >= 0; --call) {
      if (graph_.program().calls[call].parent == kNone) pending.push_back(call);
    }
    while (!pending.empty()) {
      const CallId call = pending.back();
      pending.pop_back();
      if (graph_.is_leaf(call)) continue;
      if (must_descend(call)) {
        pending.insert(pending.end(), big_children_[call].rbegin(), big_children_[call].rend());
      } else {
        blocks.push_back(call);
      }
    }
    return blocks;
  }

 private:
  CallId calls() const { return static_cast<CallId>(graph_.program().calls.size()); }

  /// The longest run of the call's class anywhere in the program; 0 when it is in none.
  int longest_run(CallId call) const {
    const auto run = runs_.find(graph_.kind(call));
    return run == runs_.end() ? 0 : run->second;
  }

  void find_runs(CallId call) {
    const auto& stations = flows_[call].stations;
    for (int end = 0; end < static_cast<int>(stations.size()); ++end) {
      if (stations[end] == kNone || graph_.is_leaf(stations[end])) continue;
      const int length = run_length(flows_[call], end);
      int& longest = runs_[graph_.kind(stations[end])];
      longest = std::max(longest, length > 1 ? length : 0);
    }
  }

  /// The number of calls of the last one's class that the data passed through, station by station,
  /// each with a single source.
  int run_length(const CallFlow& flow, int end) const {
    const std::string& kind = graph_.kind(flow.stations[end]);
    std::vector<bool> seen(flow.stations.size());
    int length = 0, station = end;
    while (station != CallFlow::kOwnInput && !seen[station]) {
      seen[station] = true;
      const CallId call = flow.stations[station];
      if (call != kNone && !graph_.is_leaf(call) && graph_.kind(call) == kind) ++length;
      if (flow.sources[station].size() != 1) break;
      station = *flow.sources[station].begin();
    }
    return length;
  }

  bool must_descend(CallId call) const {
    const auto& inside = big_children_[call];
    if (inside.empty()) return false;
    const Activations activations = graph_.activations(call);
    if (activations.in.size() > 1 || activations.out.size() != 1) return true;

    size_t layers_inside = 0;
    for (CallId child : inside) layers_inside += graph_.layers(child).size();
    if (2 * layers_inside <= graph_.layers(call).size()) return false;

    const int own_run = longest_run(call), run_within = run_within_[call];
    if (run_within >= std::max(own_run, 2)) return true;
    return flows_[call].is_chain() && (run_within > 0 || own_run == 0);
  }

  const CallGraph& graph_;
  std::vector<std::vector<CallId>> big_children_;  // by call
  std::vector<CallFlow> flows_;                    // by call; empty without big children
  std::unordered_map<std::string, int> runs_;      // by kind
  std::vector<int> run_within_;                    // by call: the longest run of any class inside
};

}  // namespace

std::vector<CallId> pick_blocks(const CallGraph& graph) {
  return BlockRule(graph).pick();
}

}  // namespace adascale
