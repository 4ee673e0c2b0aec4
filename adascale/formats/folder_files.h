#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace adascale {

/// Both throw (user) naming `path` and the system's reason when it cannot be written whole.
void write_json(const std::string& path, const nlohmann::ordered_json& json);
void copy_file(const std::string& from, const std::string& path);

}  // namespace adascale
