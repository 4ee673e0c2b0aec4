#include "adascale/run/setup.h"

#include <algorithm>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/graph/fold_batch_norms.h"
#include "adascale/sim/layers.h"
#include "adascale/tune/recipe.h"
#include "adascale/tune/trained_layers.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

constexpr int64_t kDefaultParamBits = 4;

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

}  // namespace

QuantizeFlags::QuantizeFlags() : scheme(to_string(QuantScheme::post_training_tf)) {
  sim.default_param_bw = kDefaultParamBits;
  sim.default_output_bw = kOffBits;
  sim.fold_batch_norms = true;
  sim.in_place = true;  // nobody else has the program: a copy of its weights is not needed
}

void check_flags(QuantizeFlags& flags) {
  Objections objections;
  RuleChecker checker(objections, flag_of);
  visit_sim_options(checker, flags.sim);
  visit_adascale_options(checker, flags.training);
  visit_setup_options(checker, flags);
  visit_export_options(checker, flags);
  objections.raise();
  const bool epochs = flags.training.num_epochs.has_value(),
             iterations = flags.training.num_iterations.has_value();
  ADA_CHECK(!epochs || !iterations, "--epochs and --iterations: both are given, expected one of them");
  const Recipe& recipe = recipe_named(flags.training.recipe);
  if (recipe.trains() && !epochs && !iterations) flags.training.num_iterations = recipe.iterations;
  flags.sim.quant_scheme = quant_scheme_from(flags.scheme);
  if (!flags.layer_config.empty()) flags.sim.layer_config = read_layer_config(flags.layer_config);
}

Setup set_up(Program program, const QuantizeFlags& flags) {
  // Before ids are taken; the sim finds those that stay once more and keeps the list.
  if (flags.sim.fold_batch_norms) fold_batch_norms(program, flags.sim.in_place);
  std::vector<Block> blocks = blocks_to_train(program, flags.training);
  const std::vector<std::string> outside = layers_outside_blocks(program, blocks);
  SimOptions options = flags.sim;
  LayerConfig& settings = options.layer_config;
  for (const std::string& name : outside)
    settings.insert(settings.begin(), {glob_of(name), LayerSettings{.param_bw = flags.outside_bw,
                                                                    .grid = plain_form()->name()}});
  QuantizationSimModel sim(std::move(program), std::move(options));
  std::vector<Block> trained = blocks;
  if (flags.training.train_outside)
    for (Block& block : blocks_of_layers_outside(sim, blocks)) trained.push_back(std::move(block));
  return {std::move(blocks), std::move(trained), std::move(sim), outside};
}

}  // namespace adascale
