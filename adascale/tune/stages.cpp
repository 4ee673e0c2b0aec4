#include "adascale/tune/stages.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <unordered_set>

#include "adascale/sim/layer_kind.h"

namespace adascale {

std::vector<bool> shared_nodes(const QuantizationSimModel& sim, const Dataflow& flow, bool has_one_input) {
  const Program& program = sim.program();
  std::vector<bool> is_own(program.values.size()), is_overwritten(program.values.size());
  std::unordered_set<const void*> weights;  // a buffer may show one under another name
  for (const QuantizedWeight& weight : sim.weights())
    weights.insert(program.state.at(weight.layer.parameters.front()).storage().data());
  for (const ProgramInput& input : program.inputs) {
    const auto state = program.state.find(input.name);
    if (input.kind != ProgramInput::Kind::kUser && state != program.state.end() &&
        weights.contains(state->second.storage().data()))
      is_own[input.value] = true;
  }
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone && !has_one_input) is_own[input->value] = true;
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node)
    for (const ValueId value : flow.overwrites(node)) is_overwritten[flow.storage_root(value)] = true;
  std::vector<bool> is_shared(program.nodes.size());
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node) {
    std::vector<ValueId> touched = program.nodes[node].reads();
    const std::vector<ValueId> made = program.nodes[node].writes();
    touched.insert(touched.end(), made.begin(), made.end());
    is_shared[node] = std::none_of(touched.begin(), touched.end(), [&](ValueId value) {
      return is_own[value] || is_overwritten[flow.storage_root(value)];
    });
    for (const ValueId value : made) is_own[value] = !is_shared[node];
  }
  return is_shared;
}

namespace {

/// All values that a block's nodes read, and those made by in-place writers ordered before them.
std::vector<ValueId> needs_of(const Program& program, const Dataflow& flow, const Block& block) {
  std::vector<ValueId> needs;
  const auto append = [&needs](const std::vector<ValueId>& values) {
    needs.insert(needs.end(), values.begin(), values.end());
  };
  for (const NodeId node : block.nodes) {
    append(program.nodes[node].reads());
    for (const NodeId before : flow.needs(node)) append(program.nodes[before].writes());
  }
  return needs;
}

}  // namespace

StageNodes stages_of(const Program& program, const Dataflow& flow, const std::vector<Block>& blocks,
                     const std::vector<bool>& is_shared) {
  StageNodes stages;
  std::set<NodeId> done;
  for (const Block& block : blocks) {
    done.insert(block.nodes.begin(), block.nodes.end());
    std::vector<NodeId> needs = flow.ancestors(needs_of(program, flow, block), done), own;
    done.insert(needs.begin(), needs.end());
    std::copy_if(needs.begin(), needs.end(), std::back_inserter(own),
                 [&](NodeId node) { return !is_shared[node]; });
    std::erase_if(needs, [&](NodeId node) { return !is_shared[node]; });
    stages.insert(stages.end(), {std::move(needs), std::move(own), block.nodes});
  }
  return stages;
}

std::vector<int> last_stages(const Program& program, const StageNodes& stages) {
  std::vector<int> last(program.values.size(), -1);
  for (size_t stage = 0; stage < stages.size(); ++stage)
    for (const NodeId node : stages[stage])
      for (const ValueId value : program.nodes[node].reads()) last[value] = static_cast<int>(stage);
  return last;
}

std::vector<std::vector<ValueId>> only_compared(const std::vector<Block>& blocks,
                                                const std::vector<int>& last_stages) {
  std::vector<std::vector<ValueId>> compared(blocks.size());
  for (size_t block = 0; block < blocks.size(); ++block)
    for (const ValueId value : blocks[block].activations_out)
      if (last_stages[value] <= static_cast<int>(kStagePlaces * block + kBlock))
        compared[block].push_back(value);
  return compared;
}

bool may_compute_anew(const Program& program, const Block& block, const std::vector<ValueId>& only_compared,
                      int64_t bytes_of_outputs, int64_t bytes_of_inputs) {
  if (block.call != kNone || only_compared.size() != block.activations_out.size()) return false;
  const auto kinds = layer_kinds_of_op(program.nodes[block.layers.front()].op());
  const bool is_product = std::any_of(kinds.begin(), kinds.end(), [](const LayerKind* kind) {
    return kind->multiplies && !kind->is_recurrent;
  });
  return is_product && bytes_of_outputs > bytes_of_inputs;
}

}  // namespace adascale
