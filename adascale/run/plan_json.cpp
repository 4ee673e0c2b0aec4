#include <c10/util/hash.h>

#include <nlohmann/json.hpp>

#include "adascale/core/version.h"
#include "adascale/quant/forms/form.h"
#include "adascale/run/run_plan.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

using nlohmann::json;  // sorts the keys

/// The blocks trained in the part of that number.
std::vector<Block> blocks_of(const TrainingPlan& plan, size_t part) {
  for (const PartPlan& planned : plan.parts)
    if (planned.part == part) return planned.blocks;
  return {};
}

json grid_json(const Grid& grid) {
  return {{"form", grid.form->name()},
          {"bits", grid.bits},
          {"symmetric", grid.symmetric},
          {"signed_scale", grid.signed_scale},
          {"channel_axis", grid.channel_axis},
          {"stack_axes", grid.stack_axes},
          {"group_axis", grid.group_axis},
          {"group_size", grid.group_size},
          {"scale_dtype", c10::toString(grid.scale_dtype)},
          {"block_scale_bits", grid.block_scale_bits},
          {"superblock_size", grid.superblock_size},
          {"shared_scale", grid.shared_scale}};
}

json layer_json(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                const std::vector<Block>& blocks) {
  const at::Tensor& w = sim.program().state.at(weight.layer.parameters.front());
  return {{"parameters", weight.layer.parameters},
          {"shape", w.sizes().vec()},
          {"dtype", c10::toString(w.scalar_type())},
          {"grid", grid_json(weight.grid)},
          {"trained", reason_not_trained(sim, weight, blocks).empty()}};
}

/// Values of different parts may have one name.
json activation_json(const ModelPlan& part, const ActivationQuantizer& quantizer) {
  json activation = {{"value", part.sim.program().values[quantizer.value].name},
                     {"bits", quantizer.bits},
                     {"symmetric", quantizer.symmetric}};
  if (!part.path.empty()) activation["part"] = part.path;
  return activation;
}

json full_precision_json(const PartedModel& model) {
  std::vector<std::string> names = model.outside;
  for (const auto& [path, reason] : model.not_captured) names.push_back(path);
  return names;
}

json model_json(const RunPlan& plan) {
  json layers = json::object(), activations = json::array(), norms = json::array();
  for (size_t i = 0; i < plan.parts.size(); ++i) {
    const QuantizationSimModel& sim = plan.parts[i].sim;
    const std::vector<Block> blocks = blocks_of(plan.training, i);
    for (const QuantizedWeight& weight : sim.weights())
      layers[weight.layer.name] = layer_json(sim, weight, blocks);
    for (const ActivationQuantizer& quantizer : sim.activations())
      activations.push_back(activation_json(plan.parts[i], quantizer));
    for (const FoldedBatchNorm& norm : sim.program().folded_batch_norms) norms.push_back(norm.name);
  }
  json model = {{"layers", layers},
                {"activations", activations},
                {"folded_batch_norms", norms},
                {"scheme", to_string(plan.sims().front()->options().quant_scheme)}};
  if (plan.live) model["full_precision"] = full_precision_json(plan.live->model);
  return model;
}

json training_json(const TrainingPlan& plan) {
  std::vector<std::string> blocks;
  for (const PartPlan& part : plan.parts)
    for (const Block& block : part.blocks) blocks.push_back(block.name);
  return {{"recipe", plan.recipe.name},
          {"scale_rate", plan.recipe.scale_rate},
          {"rounding_rate", plan.recipe.rounding_rate},
          {"iterations", plan.iterations},
          {"accumulate", plan.options.accumulate},
          {"held_out_batches", plan.options.held_out_batches},
          {"keep_better", plan.options.keep_better},
          {"precision", c10::toString(plan.compute_type)},
          {"seed", plan.options.seed},
          {"last_stage_iterations", plan.last_stage_iterations},
          {"blocks", blocks}};
}

json data_json(const RunPlan& plan) {
  const DataOptions& options = plan.request.data.options;
  json inputs = json::array();
  for (const c10::IValue& input : plan.live ? plan.live->first_batch : plan.batches.inputs.front())
    inputs.push_back(input.isTensor() ? json(input.toTensor().sizes().vec()) : json(nullptr));
  return {{"samples", plan.batches.samples},
          {"batch_size", plan.batches.batch_size},
          {"first_batch", inputs},
          {"packing", options.packing},
          {"data_weights", options.data_weights}};
}

json files_json(const RunPlan& plan) {
  json formats = json::array();
  for (const auto& [format, target] : plan.files.formats) formats.push_back({format->name, target});
  return {{"formats", formats}, {"encoding_version", plan.request.encoding_version}};
}

json plan_json(const RunPlan& plan) {
  return {{"adascale", kVersion},
          {"model", model_json(plan)},
          {"training", training_json(plan.training)},
          {"data", data_json(plan)},
          {"files", files_json(plan)}};
}

}  // namespace

std::string canonical_json(const RunPlan& plan) {
  return plan_json(plan).dump();
}

std::string hash_of(const RunPlan& plan) {
  return c10::sha1(canonical_json(plan)).str();
}

}  // namespace adascale
