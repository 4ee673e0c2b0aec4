#include "adascale/tune/precision.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "adascale/device/traits.h"
#include "adascale/graph/attention.h"
#include "adascale/sim/layer_kind.h"

namespace adascale {
namespace {

// Training in bf16 costs the seed's model little up to 4 bits (tests/tune/precision_test); at 5 bits the error of its
// outputs was 1.27 times that of fp32, at 6 bits 1.79 times.
constexpr int kMostBits = 4;

}  // namespace

bool only_its_nodes_read(const Program& program, const Layer& layer) {
  const auto is_its = [&](NodeId node) {
    return std::find(layer.nodes.begin(), layer.nodes.end(), node) != layer.nodes.end() ||
           std::find(layer.views.begin(), layer.views.end(), node) != layer.views.end();
  };
  const auto is_read_so = [&](ValueId value) {
    const auto& users = program.values[value].users;
    return std::all_of(users.begin(), users.end(), is_its);
  };
  for (const NodeId view : layer.views)
    for (const ValueId value : program.nodes[view].writes())
      if (!is_read_so(value)) return false;
  return std::all_of(layer.weights.begin(), layer.weights.end(), is_read_so);
}

c10::ScalarType compute_type(const std::string& precision, const Recipe& recipe, c10::Device device) {
  const bool chosen = recipe.takes_bfloat16 && traits_of(device).multiplies_bfloat16;
  const bool lower = precision == "bfloat16" || (precision == "auto" && chosen);
  return lower ? at::kBFloat16 : at::kFloat;
}

std::string describe_precision(c10::ScalarType compute_type,
                               const std::vector<const QuantizationSimModel*>& sims) {
  if (compute_type == at::kBFloat16)
    return fmt::format("bfloat16 up to {} bits, the rest {}", kMostBits,
                       traits_of(sims.front()->program().device).has_tf32 ? "TF32" : "float32");
  std::set<std::string> types;
  for (const QuantizationSimModel* sim : sims) {
    for (const QuantizedWeight& weight : sim->weights()) {
      const auto type = sim->program().state.at(weight.layer.parameters.front()).scalar_type();
      types.insert(type == at::kBFloat16 ? "bfloat16" : type == at::kHalf ? "float16" : "float32");
    }
  }
  return fmt::format("{}", fmt::join(types, " and "));
}

Flags training_flags(const Program& program, const std::vector<NodeId>& nodes, c10::ScalarType compute_type,
                     bool deterministic) {
  const auto is_recurrent = [&](NodeId node) {
    const auto kinds = layer_kinds_of_op(program.nodes[node].op());
    return !kinds.empty() && kinds.front()->is_recurrent;
  };
  return {.tf32 = compute_type == at::kBFloat16 && traits_of(program.device).has_tf32,
          .deterministic = deterministic,
          .cudnn = std::none_of(nodes.begin(), nodes.end(), is_recurrent)};
}

namespace {

bool is_product(const Program& program, NodeId node) {
  return std::ranges::any_of(layer_kinds_of_op(program.nodes[node].op()),
                             [](const LayerKind* kind) { return kind->multiplies && !kind->input.empty(); });
}

bool is_lookup(const Program& program, NodeId node) {
  return std::ranges::any_of(layer_kinds_of_op(program.nodes[node].op()),
                             [](const LayerKind* kind) { return !kind->multiplies; });
}

}  // namespace

bool takes_bfloat16(const QuantizationSimModel& sim, const QuantizedWeight& weight) {
  const Program& program = sim.program();
  const Layer& layer = weight.layer;
  // A view may be a cast, to double for one.
  const auto is_cast = [&](NodeId view) {
    return std::ranges::any_of(program.nodes[view].writes(), [&](ValueId value) {
      return program.values[value].is_float_tensor() && program.values[value].dtype != at::kFloat;
    });
  };
  const auto multiplies = [&](NodeId node) { return is_product(program, node); };
  const auto fits = [&](NodeId node) { return is_product(program, node) || is_lookup(program, node); };
  return program.state.at(layer.parameters.front()).scalar_type() == at::kFloat &&
         weight.grid.bits <= kMostBits && std::ranges::any_of(layer.nodes, multiplies) &&
         std::ranges::all_of(layer.nodes, fits) && std::ranges::none_of(layer.views, is_cast) &&
         only_its_nodes_read(program, layer);
}

void Lowered::add(const QuantizationSimModel& sim, const std::vector<int32_t>& among, const Block& block) {
  if (type == at::kFloat) return;
  const std::set<NodeId> inside(block.nodes.begin(), block.nodes.end());
  bool any = false;
  for (const int32_t index : among) {
    const QuantizedWeight& weight = sim.weights()[index];
    const Layer& layer = weight.layer;
    if (std::ranges::none_of(layer.nodes, [&](NodeId node) { return inside.contains(node); })) continue;
    if (!takes_bfloat16(sim, weight)) continue;
    bool is_looked_up = false;
    for (const NodeId node : layer.nodes) {
      const bool looks_up = is_lookup(sim.program(), node);
      (looks_up ? lookups : nodes).insert(node);
      is_looked_up = is_looked_up || looks_up;
    }
    if (!is_looked_up) weights.insert(layer.weights.begin(), layer.weights.end());
    any = true;
  }
  if (!any) return;
  const std::set<NodeId> layers(block.layers.begin(), block.layers.end());
  for (const NodeId node : find_attention(sim.program(), block.nodes))
    if (!layers.contains(node)) nodes.insert(node);
}

std::optional<c10::ScalarType> Lowered::type_of(NodeId node) const {
  return nodes.contains(node) ? std::optional(type) : std::nullopt;
}

std::vector<NodeId> products_of_fp32_weights(const QuantizationSimModel& sim) {
  std::set<NodeId> of_quantized;
  for (const QuantizedWeight& weight : sim.weights())
    of_quantized.insert(weight.layer.nodes.begin(), weight.layer.nodes.end());
  std::vector<NodeId> products;
  for (const Layer& layer : find_layers(sim.program()).layers) {
    if (sim.program().state.at(layer.parameters.front()).scalar_type() != at::kFloat) continue;
    for (const NodeId node : layer.nodes)
      if (!of_quantized.contains(node) && is_product(sim.program(), node)) products.push_back(node);
  }
  return products;
}

}  // namespace adascale
