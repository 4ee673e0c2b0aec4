#include "adascale/tune/call_graph.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_set>

namespace adascale {
namespace {

/// The values that pass the test; all of them when none does.
template <typename Test>
std::vector<ValueId> keep_unless_none(const std::vector<ValueId>& values, const Test& test) {
  std::vector<ValueId> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept), test);
  return kept.empty() ? values : kept;
}

template <typename Test>
bool any(const std::vector<ValueId>& values, const Test& test) {
  return std::any_of(values.begin(), values.end(), test);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

CallGraph::CallGraph(const Program& program) : program_(program), facts_(program) {
  number_calls();
  name_kinds();
  find_borders();
  find_own_data();
}

/// Depth first, so that the calls inside one form a range of numbers and "inside" takes two comparisons.
void CallGraph::number_calls() {
  const auto count = static_cast<CallId>(program_.calls.size());
  std::vector<int> size(count, 1), next(count);
  for (CallId call = count - 1; call >= 0; --call) {
    const CallId parent = program_.calls[call].parent;
    if (parent != kNone) size[parent] += size[call];
  }
  int next_root = 0;
  begin_.resize(count);
  end_.resize(count);
  for (CallId call = 0; call < count; ++call) {
    const CallId parent = program_.calls[call].parent;
    int& number = parent == kNone ? next_root : next[parent];
    begin_[call] = number;
    end_[call] = number += size[call];
    next[call] = begin_[call] + 1;
  }
}

void CallGraph::name_kinds() {
  for (const ModuleCall& module : program_.calls) {
    std::string kind = module.type;
    if (ends_with(kind, "container.Sequential")) {
      for (CallId child : module.children) kind += "," + program_.calls[child].type;
    }
    kinds_.push_back(kind);
  }
}

bool CallGraph::encloses(CallId outer, CallId inner) const {
  return begin_[outer] <= begin_[inner] && begin_[inner] < end_[outer];
}

bool CallGraph::contains(CallId call, NodeId node) const {
  return node != kNone && program_.nodes[node].call != kNone && encloses(call, program_.nodes[node].call);
}

void CallGraph::find_borders() {
  const size_t count = program_.calls.size();
  layers_.resize(count);
  data_in_.resize(count);
  data_out_.resize(count);
  for (CallId call = 0; call < static_cast<CallId>(count); ++call) {
    std::unordered_set<ValueId> seen;
    for (NodeId node : program_.calls[call].nodes) {
      if (facts_.is_layer(node)) layers_[call].push_back(node);
      for (ValueId value : facts_.tensors_read(node)) {
        if (facts_.is_data(value) && !makes(call, value) && seen.insert(value).second)
          data_in_[call].push_back(value);
      }
      for (ValueId value : program_.nodes[node].writes()) {
        if (!facts_.is_data(value)) continue;
        if (facts_.is_returned(value) || is_used_outside(call, value)) data_out_[call].push_back(value);
      }
    }
  }
}

bool CallGraph::is_used_outside(CallId call, ValueId value) const {
  const auto& users = program_.values[value].users;
  return std::any_of(users.begin(), users.end(), [&](NodeId user) { return !contains(call, user); });
}

void CallGraph::find_own_data() {
  // Over all calls of a class that get a value: the end of the first one and the begin of the last one.
  struct Takers {
    int first_end, last_begin;
  };
  std::map<std::pair<std::string, ValueId>, Takers> takers;
  const auto count = static_cast<CallId>(program_.calls.size());
  for (CallId call = 0; call < count; ++call) {
    for (ValueId value : data_in_[call]) {
      Takers& all = takers.try_emplace({program_.calls[call].type, value}, Takers{end_[call], begin_[call]})
                        .first->second;
      all.first_end = std::min(all.first_end, end_[call]);
      all.last_begin = std::max(all.last_begin, begin_[call]);
    }
  }
  for (CallId call = 0; call < count; ++call) {
    own_data_in_.push_back(keep_unless_none(data_in_[call], [&](ValueId value) {
      const Takers& all = takers.at({program_.calls[call].type, value});
      const bool is_shared = all.first_end <= begin_[call] || all.last_begin >= end_[call];
      return !is_shared;
    }));
  }
}

std::vector<CallId> CallGraph::big_children(CallId call) const {
  std::vector<CallId> big;
  for (CallId child : program_.calls[call].children) {
    if (!is_leaf(child)) big.push_back(child);
  }
  return big;
}

/// The values that depend on one of `starts` within the call, on any route or only on
/// those around every layer.
CallGraph::Reached CallGraph::reach(CallId call, const std::vector<ValueId>& starts, Route route) const {
  Reached reached(program_.values.size());
  for (ValueId value : starts) reached[value] = true;
  for (NodeId node : program_.calls[call].nodes) {
    if (route == Route::kAroundLayers && facts_.is_layer(node)) continue;
    if (!any(facts_.numbers_read(node), [&](ValueId v) { return reached[v]; })) continue;
    for (ValueId value : program_.nodes[node].writes()) reached[value] = true;
  }
  return reached;
}

std::vector<ValueId> CallGraph::of_highest_rank(const std::vector<ValueId>& values) const {
  ValueFacts::Rank highest = ValueFacts::Rank::kPlain;
  for (ValueId value : values) highest = std::max(highest, facts_.rank(value));
  return keep_unless_none(values, [&](ValueId v) { return facts_.rank(v) == highest; });
}

Activations CallGraph::activations(CallId call) const {
  const std::vector<ValueId>&inputs = own_data_in(call), &outputs = data_out(call);
  std::map<ValueId, Reached> around;
  for (ValueId in : inputs) around[in] = reach(call, {in}, Route::kAroundLayers);
  const auto bypasses = [&](ValueId in) {
    return any(outputs, [&](ValueId out) { return around.at(in)[out]; });
  };

  Activations found;
  found.in = keep_unless_none(inputs, bypasses);
  const bool is_residual = !layers(call).empty() && any(found.in, bypasses);
  found.in = of_highest_rank(found.in);

  const Reached dependent = reach(call, found.in, Route::kAnyNode);
  found.out = keep_unless_none(outputs, [&](ValueId out) { return dependent[out]; });
  if (is_residual) {
    found.out = keep_unless_none(found.out, [&](ValueId out) {
      return any(found.in, [&](ValueId in) { return around.at(in)[out]; });
    });
  }
  found.out = keep_unless_none(found.out, [&](ValueId out) { return is_used_outside(call, out); });
  return found;
}

}  // namespace adascale
