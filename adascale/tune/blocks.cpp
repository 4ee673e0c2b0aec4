#include "adascale/tune/blocks.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "adascale/core/counters.h"
#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/spelling.h"
#include "adascale/tune/block_rule.h"
#include "adascale/tune/call_graph.h"

namespace adascale {
namespace {

/// Tensors from outside that are neither activations nor the model's own state: the
/// interpreter must be fed them.
std::vector<ValueId> side_inputs(const CallGraph& graph, CallId call,
                                 const std::vector<ValueId>& activations) {
  std::unordered_set<ValueId> seen(activations.begin(), activations.end());
  std::vector<ValueId> side;
  for (NodeId node : graph.program().calls[call].nodes) {
    for (ValueId value : graph.facts().tensors_read(node)) {
      if (graph.makes(call, value) || graph.facts().is_state(value)) continue;
      if (seen.insert(value).second) side.push_back(value);
    }
  }
  return side;
}

std::vector<ValueId> without(std::vector<ValueId> values, const std::vector<ValueId>& others) {
  const auto is_other = [&](ValueId value) {
    return std::find(others.begin(), others.end(), value) != others.end();
  };
  values.erase(std::remove_if(values.begin(), values.end(), is_other), values.end());
  return values;
}

Block make_block(const CallGraph& graph, CallId call) {
  const ModuleCall& module = graph.program().calls[call];
  Activations activations = graph.activations(call);
  Block block;
  block.call = call;
  block.name = module.label();
  block.nodes = module.nodes;
  block.layers = graph.layers(call);
  block.side_in = side_inputs(graph, call, activations.in);
  block.side_out = without(graph.data_out(call), activations.out);
  block.activations_in = std::move(activations.in);
  block.activations_out = std::move(activations.out);
  return block;
}

std::vector<Block> make_blocks(const CallGraph& graph, const std::vector<CallId>& calls) {
  std::vector<Block> blocks;
  for (CallId call : calls) blocks.push_back(make_block(graph, call));
  return blocks;
}

bool matches(const std::string& pattern, const ModuleCall& call) {
  return glob_match(pattern, call.label()) || glob_match(pattern, call.path);
}

/// Up to eight calls that a pattern could name, for messages.
std::string candidates(const CallGraph& graph) {
  std::vector<std::string> labels;
  const auto& calls = graph.program().calls;
  for (CallId call = 0; call < static_cast<CallId>(calls.size()); ++call) {
    if (!graph.is_leaf(call)) labels.push_back(calls[call].label());
  }
  if (labels.empty()) return "no call of this model has two layers";
  const size_t shown = std::min<size_t>(labels.size(), 8);
  const auto rest = labels.size() > shown ? fmt::format(" and {} more", labels.size() - shown) : "";
  return fmt::format("calls with two layers or more: {}{}",
                     fmt::join(labels.begin(), labels.begin() + shown, ", "), rest);
}

std::vector<CallId> outermost_matches(const CallGraph& graph, const std::string& pattern) {
  std::vector<CallId> found;
  const auto& calls = graph.program().calls;
  for (CallId call = 0; call < static_cast<CallId>(calls.size()); ++call) {
    CallId outer = calls[call].parent;
    while (outer != kNone && !matches(pattern, calls[outer])) outer = calls[outer].parent;
    if (outer == kNone && matches(pattern, calls[call])) found.push_back(call);
  }
  ADA_CHECK(!found.empty(), "{}: '{}' matches no module; {}", option("blocks"), pattern, candidates(graph));
  for (CallId call : found) {
    ADA_CHECK(!graph.layers(call).empty(),
              "{}: '{}' matches {}, which has no linear, convolution, matmul or recurrent layer; {}",
              option("blocks"), pattern, calls[call].label(), candidates(graph));
  }
  return found;
}

void check_apart(const CallGraph& graph, const std::vector<CallId>& chosen) {
  const std::set<CallId> all(chosen.begin(), chosen.end());
  const auto& calls = graph.program().calls;
  for (CallId call : chosen) {
    for (CallId outer = calls[call].parent; outer != kNone; outer = calls[outer].parent) {
      ADA_CHECK(!all.count(outer), "{}: {} lies inside {}, and both are matched; name one of them",
                option("blocks"), calls[call].label(), calls[outer].label());
    }
  }
}

}  // namespace

std::vector<Block> find_blocks(const Program& program) {
  ++count_of(Counted::kFindBlocks);
  const CallGraph graph(program);
  return make_blocks(graph, pick_blocks(graph));
}

std::vector<Block> blocks_matching(const Program& program, const std::vector<std::string>& patterns) {
  ADA_CHECK(!patterns.empty(), "{}: no pattern given; leave it out and the blocks are found by themselves",
            option("blocks"));
  const CallGraph graph(program);
  std::vector<CallId> chosen;
  for (const std::string& pattern : patterns) {
    const std::vector<CallId> found = outermost_matches(graph, pattern);
    chosen.insert(chosen.end(), found.begin(), found.end());
  }
  const auto first_node = [&](CallId call) { return program.calls[call].nodes.front(); };
  std::sort(chosen.begin(), chosen.end(), [&](CallId a, CallId b) {
    return std::make_pair(first_node(a), a) < std::make_pair(first_node(b), b);
  });
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  check_apart(graph, chosen);
  return make_blocks(graph, chosen);
}

std::vector<NodeId> layers_outside(const Program& program, const std::vector<Block>& blocks) {
  std::vector<bool> is_inside(program.nodes.size());
  for (const Block& block : blocks) {
    for (NodeId node : block.nodes) is_inside[node] = true;
  }
  const ValueFacts facts(program);
  std::vector<NodeId> outside;
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node) {
    if (facts.is_layer(node) && !is_inside[node]) outside.push_back(node);
  }
  return outside;
}

}  // namespace adascale
