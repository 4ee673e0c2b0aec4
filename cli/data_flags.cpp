#include "cli/data_flags.h"

#include <filesystem>

#include "adascale/core/error.h"
#include "cli/flags.h"

namespace adascale {

CLI::Option* add_data_flags(CLI::App& app, DataRequest& data, const Doors& doors) {
  CLI::Option* files =
      app.add_option("--data", data.files, "samples: " + describe_data(doors))->type_name("FILE");
  visit_data_options(FlagAdder(app), data.options);
  return files;
}

void check_data_options(const DataRequest& data) {
  Objections objections;
  visit_data_options(RuleChecker(objections, flag_of), data.options);
  for (const std::string& file : data.files)
    if (!std::filesystem::exists(file)) objections.add("{}: there is no such file", file);
  const size_t weights = data.options.data_weights.size();
  if (weights > 0 && weights != data.files.size())
    objections.add("--data-weights: got {} numbers for {} files, expected one each", weights,
                   data.files.size());
  objections.raise();
}

}  // namespace adascale
