#include "adascale/tune/trained_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "adascale/core/error.h"

namespace adascale {
namespace {

/// A reason in the weight itself, independent of its position.
std::string own_reason(const QuantizedWeight& weight) {
  if (weight.loaded) return "its encoding was loaded";
  if (!weight.may_train) return "round-to-nearest, as the layer settings say";
  if (weight.grid.bits > kMaxTrainedBits)
    return fmt::format("{} bits keep round-to-nearest: AdaScale trains 2 to {}", weight.grid.bits,
                       kMaxTrainedBits);
  return {};
}

/// `nodes` in execution order.
bool is_one_of(NodeId node, const std::vector<NodeId>& nodes) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

bool is_inside(const Layer& layer, const std::vector<NodeId>& nodes) {
  return std::any_of(layer.nodes.begin(), layer.nodes.end(),
                     [&](NodeId node) { return is_one_of(node, nodes); });
}

/// Whether a view of the weight is made before `inside` and read there: its gradient
/// would end at the border.
bool is_seen_from(const Program& program, const Layer& layer, const std::vector<NodeId>& inside) {
  const auto is_early = [&](ValueId value) {
    const NodeId producer = program.values[value].producer;
    return std::find(layer.views.begin(), layer.views.end(), producer) != layer.views.end() &&
           !is_one_of(producer, inside);
  };
  const auto reads_early = [&](NodeId node) {
    const auto reads = program.nodes[node].reads();
    return is_one_of(node, inside) && std::any_of(reads.begin(), reads.end(), is_early);
  };
  return std::any_of(layer.nodes.begin(), layer.nodes.end(), reads_early) ||
         std::any_of(layer.views.begin(), layer.views.end(), reads_early);
}

/// The first call of the layer, with those views of the weight inside that only it needs.
Block block_of(const QuantizationSimModel& sim, const QuantizedWeight& weight) {
  const Program& program = sim.program();
  const NodeId layer = weight.layer.nodes.front();
  Block block{.name = weight.layer.name, .layers = {layer}};
  for (const NodeId view : weight.layer.views)
    if (view < layer) block.nodes.push_back(view);
  block.nodes.push_back(layer);
  std::sort(block.nodes.begin(), block.nodes.end());
  for (const ValueId value : program.nodes[layer].reads()) {
    const Value& read = program.values[value];
    const bool is_fed =
        read.producer == kNone ? program.is_user_input(value) : !is_one_of(read.producer, block.nodes);
    if (read.is_float_tensor() && is_fed) block.activations_in.push_back(value);
  }
  for (const ValueId value : program.nodes[layer].writes())
    if (program.values[value].is_float_tensor()) block.activations_out.push_back(value);
  return block;
}

}  // namespace

bool is_trainable(const QuantizedWeight& weight) {
  return own_reason(weight).empty();
}

const Block* deciding_block(const QuantizedWeight& weight, const std::vector<Block>& blocks) {
  const auto found = std::find_if(blocks.begin(), blocks.end(),
                                  [&](const Block& block) { return is_inside(weight.layer, block.nodes); });
  return found == blocks.end() ? nullptr : &*found;
}

std::string reason_not_trained(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                               const std::vector<Block>& blocks) {
  const Block* block = deciding_block(weight, blocks);
  if (block == nullptr)
    return fmt::format("outside every block, round-to-nearest at {} bits", weight.grid.bits);
  if (is_seen_from(sim.program(), weight.layer, block->nodes))
    return fmt::format("round-to-nearest: {} reads a view of its weight that is made outside", block->name);
  return own_reason(weight);
}

std::vector<int32_t> weights_to_train(const QuantizationSimModel& sim, const Block& block) {
  std::vector<int32_t> found;
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[i];
    const bool is_open = !weight.encoding && is_trainable(weight);
    if (is_open && is_inside(weight.layer, block.nodes) &&
        !is_seen_from(sim.program(), weight.layer, block.nodes))
      found.push_back(static_cast<int32_t>(i));
  }
  return found;
}

std::vector<Block> blocks_of_layers_outside(const QuantizationSimModel& sim,
                                            const std::vector<Block>& blocks) {
  std::set<NodeId> all;
  for (const Block& block : blocks) all.insert(block.nodes.begin(), block.nodes.end());
  const std::vector<NodeId> inside(all.begin(), all.end());
  std::vector<Block> found;
  for (const QuantizedWeight& weight : sim.weights())
    if (!is_inside(weight.layer, inside)) found.push_back(block_of(sim, weight));
  return found;
}

}  // namespace adascale
