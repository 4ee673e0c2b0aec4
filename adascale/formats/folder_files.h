#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace adascale {

/// Relative paths, sorted: of weights in whatever format, and of what belongs to the model beside them.
struct ModelFiles {
  std::vector<std::string> weights, companions;
};
/// All files below a model's folder but hidden ones and Python's caches. Throws (user)
/// when it cannot be listed.
ModelFiles list_model_files(const std::string& folder);

/// An object. Throws (user), naming `path`, when it cannot be opened or is none.
nlohmann::ordered_json read_config(const std::string& path);
/// Both throw (user) naming `path` and the system's reason when it cannot be written whole.
void write_json(const std::string& path, const nlohmann::ordered_json& json);
void copy_file(const std::string& from, const std::string& path);

}  // namespace adascale
