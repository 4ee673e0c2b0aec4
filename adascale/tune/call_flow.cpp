#include <algorithm>
#include <unordered_map>

#include "adascale/tune/block_rule.h"

namespace adascale {
namespace {

using Sources = CallFlow::Sources;

void merge(Sources& into, const Sources& from) {
  into.insert(from.begin(), from.end());
}

/// Follows data backwards through the nodes between the stations of one call.
class FlowTracer {
 public:
  FlowTracer(const CallGraph& graph, CallId call)
      : graph_(graph), call_(call), activations_(graph.activations(call)) {}

  CallFlow trace() {
    place_stations();
    for (NodeId node : graph_.program().calls[call_].nodes) pass_on(node);
    for (int station = 0; station < static_cast<int>(flow_.stations.size()); ++station) {
      const CallId child = flow_.stations[station];
      flow_.sources.push_back(
          sources_of_all(child == kNone ? data_read(own_layers_.at(station)) : graph_.own_data_in(child)));
    }
    flow_.output_sources = sources_of_all(activations_.out);
    return std::move(flow_);
  }

 private:
  void place_stations() {
    for (CallId child : graph_.program().calls[call_].children) {
      if (graph_.layers(child).empty()) continue;
      for (NodeId node : graph_.program().calls[child].nodes) station_of_[node] = station_count();
      flow_.stations.push_back(child);
    }
    for (NodeId layer : graph_.layers(call_)) {
      if (graph_.program().nodes[layer].call != call_) continue;
      station_of_[layer] = station_count();
      own_layers_[station_count()] = layer;
      flow_.stations.push_back(kNone);
    }
  }

  int station_count() const { return static_cast<int>(flow_.stations.size()); }

  /// Nodes run after those they read, so that one visit each in execution order settles their sources.
  void pass_on(NodeId node) {
    if (station_of_.count(node)) return;
    const Sources sources = sources_of_all(data_read(node));
    if (sources.empty()) return;
    for (ValueId value : graph_.program().nodes[node].writes()) between_[value] = sources;
  }

  Sources sources_of_all(const std::vector<ValueId>& values) const {
    Sources all;
    for (ValueId value : values) merge(all, sources_of(value));
    return all;
  }

  Sources sources_of(ValueId value) const {
    if (!graph_.makes(call_, value)) {
      const auto& in = activations_.in;
      return std::find(in.begin(), in.end(), value) == in.end() ? Sources{} : Sources{CallFlow::kOwnInput};
    }
    const auto station = station_of_.find(graph_.program().values[value].producer);
    if (station != station_of_.end()) return {station->second};
    const auto sources = between_.find(value);
    return sources == between_.end() ? Sources{} : sources->second;
  }

  std::vector<ValueId> data_read(NodeId node) const {
    std::vector<ValueId> data = graph_.facts().numbers_read(node);
    const auto is_other = [&](ValueId value) { return !graph_.facts().is_data(value); };
    data.erase(std::remove_if(data.begin(), data.end(), is_other), data.end());
    return data;
  }

  const CallGraph& graph_;
  const CallId call_;
  const Activations activations_;
  CallFlow flow_;
  std::unordered_map<NodeId, int> station_of_;
  std::unordered_map<int, NodeId> own_layers_;    // by station
  std::unordered_map<ValueId, Sources> between_;  // values made between the stations
};

}  // namespace

bool CallFlow::is_chain() const {
  const auto is_single = [](const Sources& from) { return from.size() <= 1; };
  return is_single(output_sources) && std::all_of(sources.begin(), sources.end(), is_single);
}

CallFlow trace_flow(const CallGraph& graph, CallId call) {
  return FlowTracer(graph, call).trace();
}

}  // namespace adascale
