#include "adascale/run/inspection.h"

#include <torch/version.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "adascale/core/version.h"
#include "adascale/run/call_text.h"
#include "adascale/run/left_out.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/stored.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

using json = nlohmann::ordered_json;

/// As a run trains them: layers outside the model's blocks as a block each, if asked for.
std::vector<Block> trained_blocks(const ModelPlan& plan, bool train_outside) {
  std::vector<Block> blocks = plan.blocks;
  if (train_outside)
    for (Block& block : blocks_of_layers_outside(plan.sim, plan.blocks)) blocks.push_back(std::move(block));
  return blocks;
}

InspectedLayer layer_of(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                        const std::vector<Block>& blocks) {
  const at::Tensor& w = sim.program().state.at(weight.layer.parameters.front());
  InspectedLayer layer{.name = weight.layer.name,
                       .kind = weight.layer.kind->name,
                       .sizes = w.sizes().vec(),
                       .grid = to_string(weight.grid),
                       .not_trained = reason_not_trained(sim, weight, blocks),
                       .before = w.numel() * w.element_size(),
                       .after = packed_bytes(w.sizes(), weight.grid)};
  if (layer.not_trained.empty()) layer.block = deciding_block(weight, blocks)->name;
  return layer;
}

json inputs_json(const Program& program) {
  json inputs = json::array();
  for (const ProgramInput* input : program.user_inputs()) {
    if (input->value == kNone) continue;
    const Value& value = program.values[input->value];
    json sizes = json::array();
    for (const Dim& dim : value.sizes) sizes.push_back(dim.is_fixed() ? json(dim.size) : json(dim.symbol));
    const bool is_tensor = value.kind == ValueKind::kTensor;
    inputs.push_back({{"name", input->name},
                      {"type", is_tensor ? c10::toString(value.dtype) : "a number"},
                      {"sizes", sizes}});
  }
  return inputs;
}

/// Without those of layers that have a block of their own and are not trained.
json blocks_json(const Program& program, const std::vector<Block>& blocks,
                 const std::vector<InspectedLayer>& layers) {
  json made = json::array();
  for (const Block& block : blocks) {
    int64_t count = 0, before = 0, after = 0;
    std::string type = block.call == kNone ? "" : program.calls[block.call].type;
    for (const InspectedLayer& layer : layers) {
      if (layer.block != block.name) continue;
      ++count, before += layer.before, after += layer.after;
      if (block.call == kNone) type = layer.kind;
    }
    if (count == 0 && block.call == kNone) continue;
    made.push_back({{"name", block.name},
                    {"type", type.substr(type.rfind('.') + 1)},
                    {"layers", count},
                    {"before", before},
                    {"after", after}});
  }
  return made;
}

json layers_json(const std::vector<InspectedLayer>& layers) {
  json made = json::array();
  for (const InspectedLayer& layer : layers)
    made.push_back({{"name", layer.name},
                    {"kind", layer.kind},
                    {"sizes", layer.sizes},
                    {"grid", layer.grid},
                    {"block", layer.block},
                    {"not_trained", layer.not_trained},
                    {"before", layer.before},
                    {"after", layer.after}});
  return made;
}

json left_out_json(const ModelPlan& plan) {
  json layers = json::array();
  for (const LeftOut& one : left_out(plan))
    layers.push_back({{"name", one.name}, {"kind", one.kind}, {"reason", one.reason}});
  return layers;
}

json batch_norms_json(const ModelPlan& plan) {
  json norms = json::array();
  for (const FoldedBatchNorm& norm : plan.sim.program().folded_batch_norms)
    norms.push_back({{"name", norm.name}, {"state", "folded into " + norm.into}});
  for (const KeptBatchNorm& norm : plan.sim.unquantized().batch_norms)
    norms.push_back({{"name", norm.name}, {"state", "stays: " + norm.reason}});
  return norms;
}

}  // namespace

std::vector<InspectedLayer> inspected_layers(const ModelPlan& plan, bool train_outside) {
  const std::vector<Block> trained = trained_blocks(plan, train_outside);
  std::vector<InspectedLayer> layers;
  for (const QuantizedWeight& weight : plan.sim.weights())
    layers.push_back(layer_of(plan.sim, weight, trained));
  return layers;
}

std::string inspection_json(const std::string& model, const ModelPlan& plan, bool train_outside,
                            const std::vector<StoredQuantizer>& quantizers) {
  const std::vector<InspectedLayer> layers = inspected_layers(plan, train_outside);
  const ModelSize size = size_of(plan.sim);
  const json all = {{"adascale", kVersion},
                    {"torch", TORCH_VERSION},
                    {"model", name_of(model)},
                    {"size",
                     {{"before", size.before()},
                      {"after", size.after()},
                      {"layers_before", size.layers_before},
                      {"layers_after", size.layers_after}}},
                    {"activations", plan.sim.activations().size()},
                    {"inputs", inputs_json(plan.sim.program())},
                    {"blocks", blocks_json(plan.sim.program(), trained_blocks(plan, train_outside), layers)},
                    {"layers", layers_json(layers)},
                    {"left_out", left_out_json(plan)},
                    {"batch_norms", batch_norms_json(plan)},
                    {"stored", json::parse(stored_json(model, quantizers))}};
  return all.dump(1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace adascale
