#include "adascale/sim/weight_options.h"

#include <algorithm>

#include "adascale/sim/config.h"
#include "adascale/sim/weights.h"

namespace adascale {
namespace {

/// Layers have different names.
bool has(const std::vector<Layer>& layers, const Layer& layer) {
  return std::any_of(layers.begin(), layers.end(), [&](const Layer& one) { return one.name == layer.name; });
}

void add(const QuantizedWeight& weight, int width, std::vector<WeightOptions>& found) {
  const auto own = std::find_if(found.begin(), found.end(), [&](const WeightOptions& one) {
    return one.layer.name == weight.layer.name;
  });
  if (own == found.end()) return;
  const auto has_grid = [&](const WeightOptions::Option& option) { return option.grid == weight.grid; };
  if (std::none_of(own->options.begin(), own->options.end(), has_grid))
    own->options.push_back({width, weight.grid});
}

}  // namespace

std::vector<WeightOptions> weight_options(const Program& program, const SimOptions& options,
                                          const std::vector<int>& widths) {
  const SimConfig config =
      options.config_file.empty() ? default_sim_config() : read_sim_config(options.config_file);
  const std::vector<Layer> layers = find_layers(program).layers;
  std::vector<WeightOptions> found;
  for (const Layer& layer : layers) found.push_back({layer, {}});
  std::vector<Layer> excluded;
  Objections objections;
  for (const int width : widths) {
    SimOptions asked = options;
    asked.default_param_bw = width;
    asked.reads_weights = false;
    WeightPlacement placement = place_weight_quantizers(program, layers, config, asked, objections);
    for (const QuantizedWeight& weight : placement.quantized) add(weight, width, found);
    excluded = std::move(placement.excluded);
  }
  std::erase_if(found, [&](const WeightOptions& one) { return has(excluded, one.layer); });
  const auto takes_none = [](const WeightOptions& one) { return one.options.empty(); };
  if (std::any_of(found.begin(), found.end(), takes_none)) objections.raise();
  return found;
}

}  // namespace adascale
