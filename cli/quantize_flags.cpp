#include "cli/quantize_flags.h"

#include "cli/flags.h"

namespace adascale {

void add_grid_flags(CLI::App& app, QuantizeFlags& flags) {
  visit_sim_options(FlagAdder(app), flags.sim);
  visit_adascale_options(FlagAdder(app, {"blocks", "train_outside"}), flags.training);
  app.add_option("--layer-config", flags.layer_config,
                 "JSON: globs over layer names, or layer kinds, to settings: "
                 "{\"encoder.0.*\": {\"param_bw\": 8, \"group_size\": 32}}; wins over all other options")
      ->type_name("FILE");
  visit_setup_options(FlagAdder(app), flags);
}

void add_training_flags(CLI::App& app, QuantizeFlags& flags) {
  visit_adascale_options(FlagAdder(app, {}, {"blocks", "train_outside"}), flags.training);
}

}  // namespace adascale
