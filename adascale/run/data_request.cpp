#include "adascale/run/data_request.h"

#include <fmt/ranges.h>

#include <filesystem>

#include "adascale/core/spelling.h"

namespace adascale {

std::string DataRequest::where() const {
  return files.empty() ? "data" : fmt::format("{}", fmt::join(files, ", "));
}

void check_data_files(const DataRequest& data, Objections& objections) {
  for (const std::string& file : data.files)
    if (!std::filesystem::exists(file)) objections.add("{}: there is no such file", file);
  const size_t weights = data.options.data_weights.size();
  if (weights > 0 && weights != data.files.size())
    objections.add("{}: got {} numbers for {} files, expected one each", option("data_weights"), weights,
                   data.files.size());
}

}  // namespace adascale
