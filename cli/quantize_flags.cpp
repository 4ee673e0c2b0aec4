#include "cli/quantize_flags.h"

#include "cli/flags.h"

namespace adascale {

QuantizeRequest QuantizeFlags::read() const {
  QuantizeRequest read = request;
  if (!layer_config.empty()) read.sim.layer_config = read_layer_config(layer_config);
  return read;
}

void add_grid_flags(CLI::App& app, QuantizeFlags& flags) {
  visit_sim_options(FlagAdder(app), flags.request.sim);
  visit_adascale_options(FlagAdder(app, {"blocks", "train_outside"}), flags.request.training);
  app.add_option("--layer-config", flags.layer_config,
                 "JSON: globs over layer names, or layer kinds, to settings: "
                 "{\"encoder.0.*\": {\"param_bw\": 8, \"group_size\": 32}}; wins over all other options")
      ->type_name("FILE");
  visit_layer_options(FlagAdder(app), flags.request);
}

void add_training_flags(CLI::App& app, QuantizeFlags& flags) {
  visit_adascale_options(FlagAdder(app, {}, {"blocks", "train_outside"}), flags.request.training);
}

}  // namespace adascale
