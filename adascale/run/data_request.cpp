#include "adascale/run/data_request.h"

#include <fmt/ranges.h>

#include <filesystem>

#include "adascale/core/error.h"

namespace adascale {

std::string DataRequest::where() const {
  return files.empty() ? "data" : fmt::format("{}", fmt::join(files, ", "));
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
