#include "cli/data_flags.h"

#include "cli/flags.h"

namespace adascale {

CLI::Option* add_data_flags(CLI::App& app, DataRequest& data, const Doors& doors) {
  CLI::Option* files =
      app.add_option("--data", data.files, "samples: " + describe_data(doors))->type_name("FILE");
  visit_data_options(FlagAdder(app), data.options);
  return files;
}

}  // namespace adascale
