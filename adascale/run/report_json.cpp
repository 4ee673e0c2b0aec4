#include "adascale/run/report_json.h"

#include <torch/version.h>
#include <nlohmann/json.hpp>
#include <set>

#include "adascale/core/version.h"
#include "adascale/run/bit_text.h"
#include "adascale/run/call_text.h"
#include "adascale/run/left_out.h"
#include "adascale/run/optional_json.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/training_summary.h"

namespace adascale {
namespace {

using json = nlohmann::ordered_json;

constexpr int kSchema = 1;  // a field that changes its meaning or goes raises it; a new one does not

json last_stage_json(const LastStageReport& stage) {
  return {{"iterations", stage.iterations},
          {"held_out_before", stage.held_out_before},
          {"held_out_after", stage.held_out_after},
          {"kept", stage.kept},
          {"note", stage.note}};
}

/// [iteration, loss] each
json curve_json(const LossCurve& curve) {
  json points = json::array();
  for (const LossPoint& point : curve) points.push_back({point.iteration, point.loss});
  return points;
}

json block_json(const BlockReport& block) {
  json layers = json::array();
  for (const LayerReport& layer : block.layers)
    layers.push_back(
        {{"name", layer.name},
         {"grid", layer.grid},
         {"sqnr_rtn_db", layer.sqnr_rtn_db},
         {"sqnr_db", layer.sqnr_db},
         {"codes_moved", layer.codes_moved},
         {"weights",
          {{"low", layer.weights.low}, {"high", layer.weights.high}, {"counts", layer.weights.counts}}},
         {"codes", {{"first", layer.codes.first}, {"counts", layer.codes.counts}}}});
  return {{"name", block.name},
          {"layers", layers},
          {"loss_before", block.loss_before},
          {"loss_after", block.loss_after},
          {"held_out_before", optional_json(block.held_out_before)},
          {"held_out_after", optional_json(block.held_out_after)},
          {"iterations", block.iterations},
          {"kept", block.kept},
          {"diverged", block.diverged},
          {"note", block.note},
          {"curve", curve_json(block.curve)}};
}

json sizes_json(const ModelSize& size) {
  return {{"before", size.before()},
          {"after", size.after()},
          {"layers_before", size.layers_before},
          {"layers_after", size.layers_after}};
}

json summary_json(const TrainingSummary& summary) {
  return {{"verdict", verdict(summary)},
          {"good", summary.is_good()},
          {"change", optional_json(summary.change)},
          {"held_out_change", optional_json(summary.held_out_change)}};
}

json formats_json(const ExportPlan& files) {
  json formats = json::array();
  for (size_t i = 0; i < files.formats.size(); ++i) {
    const auto& [format, target] = files.formats[i];
    formats.push_back({{"name", format->name},
                       {"target", target},
                       {"files", files.prepared[i].files},
                       {"how_to_load", how_to_load(*format, files.prefix)}});
  }
  return formats;
}

json notes_json(const RunPlan& plan) {
  json notes = plan.notes;
  if (!plan.training.no_last_stage.empty()) notes.push_back("no last stage: " + plan.training.no_last_stage);
  return notes;
}

/// Layers on grids that no block trained.
json rounded_json(const RunPlan& plan, const AdaScaleReport& report) {
  std::set<std::string> trained;
  for (const BlockReport& block : report.blocks)
    for (const LayerReport& layer : block.layers) trained.insert(layer.name);
  json layers = json::array();
  for (const QuantizationSimModel* sim : plan.sims())
    for (const QuantizedWeight& weight : sim->weights())
      if (!trained.contains(weight.layer.name))
        layers.push_back({{"name", weight.layer.name}, {"grid", to_string(weight.grid)}});
  return layers;
}

json left_out_json(const RunPlan& plan) {
  json layers = json::array();
  for (const LeftOut& one : left_out(plan))
    layers.push_back({{"name", one.name}, {"kind", one.kind}, {"reason", one.reason}});
  return layers;
}

json range_json(const ModelPlan& part, const ActivationQuantizer& quantizer) {
  json range = {{"value", part.sim.program().values[quantizer.value].name},
                {"module", quantizer.module},
                {"port", quantizer.port},
                {"part", part.path},
                {"bits", quantizer.bits},
                {"off", quantizer.off_reason}};
  if (!quantizer.encoding) return range;
  const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
  const auto [scale, offset] = std::pair(quantizer.encoding->scale, quantizer.encoding->offset);
  range["min"] = scale * static_cast<double>(grid.qmin() + offset);
  range["max"] = scale * static_cast<double>(grid.qmax() + offset);
  return range;
}

json activations_json(const RunPlan& plan) {
  json ranges = json::array();
  for (const ModelPlan& part : plan.parts)
    for (const ActivationQuantizer& quantizer : part.sim.activations())
      ranges.push_back(range_json(part, quantizer));
  return ranges;
}

json training_json(const AdaScaleReport& report) {
  json blocks = json::array();
  for (const BlockReport& block : report.blocks) blocks.push_back(block_json(block));
  json all = {{"schema", kSchema},
              {"adascale", kVersion},
              {"torch", TORCH_VERSION},
              {"recipe", report.recipe},
              {"device", report.device},
              {"precision", report.precision},
              {"summary", summary_json(summarize(report))},
              {"blocks", blocks},
              {"not_trained", report.not_trained}};
  if (report.last_stage) all["last_stage"] = last_stage_json(*report.last_stage);
  return all;
}

/// Layer names may hold any bytes.
std::string text_of(const json& report) {
  return report.dump(1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string report_json(const AdaScaleReport& report) {
  return text_of(training_json(report));
}

std::string report_json(const RunPlan& plan, const AdaScaleReport& report) {
  json all = training_json(report);
  all["adascale.plan"] = plan.files.options.plan;
  all["model"] = name_of(plan.request.model);
  all["data"] = json::array();
  for (const std::string& file : plan.request.data.files) all["data"].push_back(name_of(file));
  all["size"] = sizes_json(size_of(plan.to_write()));
  if (plan.bits) all["bits"] = json::parse(bits_json(*plan.bits));
  all["formats"] = formats_json(plan.files);
  all["notes"] = notes_json(plan);
  all["rounded"] = rounded_json(plan, report);
  all["left_out"] = left_out_json(plan);
  all["activations"] = activations_json(plan);
  all["plan"] = json::parse(canonical_json(plan));
  return text_of(all);
}

}  // namespace adascale
