#include "adascale/run/model_plan.h"

#include <algorithm>
#include <set>

#include "adascale/core/glob.h"
#include "adascale/graph/fold_batch_norms.h"
#include "adascale/quant/forms/form.h"
#include "adascale/run/bit_target.h"
#include "adascale/sim/layers.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

bool is_inside(const Layer& layer, const std::set<NodeId>& nodes) {
  return std::any_of(layer.nodes.begin(), layer.nodes.end(),
                     [&](NodeId node) { return nodes.count(node) > 0; });
}

std::vector<std::string> layers_outside_blocks(const Program& program, const std::vector<Block>& blocks) {
  std::set<NodeId> inside;
  for (const Block& block : blocks) inside.insert(block.nodes.begin(), block.nodes.end());
  std::vector<std::string> names;
  for (const Layer& layer : find_layers(program).layers)
    if (!is_inside(layer, inside)) names.push_back(layer.name);
  return names;
}

SimOptions sim_options_of(const QuantizeRequest& request, FitGrid fit_grid) {
  SimOptions options = request.sim;
  options.quant_scheme = quant_scheme_from(request.scheme);
  options.fit_grid = std::move(fit_grid);
  options.on_demand = true;
  options.reads_weights = !request.dry_run;
  return options;
}

}  // namespace

SimOptions options_of_model(const Program& program, const std::vector<Block>& blocks,
                            const QuantizeRequest& request, FitGrid fit_grid, const LayerConfig& chosen) {
  SimOptions options = sim_options_of(request, std::move(fit_grid));
  LayerConfig& settings = options.layer_config;
  settings.insert(settings.begin(), chosen.begin(), chosen.end());
  LayerSettings outside{.grid = plain_form()->name()};
  if (!chooses_outside(request)) outside.param_bw = request.outside_bw;
  for (const std::string& name : layers_outside_blocks(program, blocks))
    settings.insert(settings.begin(), {glob_of(name), outside});
  return options;
}

ModelPlan plan_model(Program program, const QuantizeRequest& request, bool is_shared, FitGrid fit_grid,
                     const LayerConfig& chosen) {
  // Before ids are taken; the sim finds those that stay once more and keeps the list.
  if (request.sim.fold_batch_norms) fold_batch_norms(program, /*in_place=*/!is_shared);
  std::vector<Block> blocks = blocks_to_train(program, request.training);
  std::vector<std::string> outside = layers_outside_blocks(program, blocks);
  SimOptions options = options_of_model(program, blocks, request, std::move(fit_grid), chosen);
  return {QuantizationSimModel(std::move(program), std::move(options)), std::move(blocks),
          std::move(outside)};
}

ModelPlan plan_part(Program program, const std::string& path, const QuantizeRequest& request,
                    FitGrid fit_grid) {
  SimOptions options = sim_options_of(request, std::move(fit_grid));
  options.is_part = true;
  QuantizationSimModel sim(std::move(program), std::move(options));
  std::vector<Block> blocks = blocks_matching(sim.program(), {glob_of(path)});
  return {std::move(sim), std::move(blocks), {}, path};
}

}  // namespace adascale
