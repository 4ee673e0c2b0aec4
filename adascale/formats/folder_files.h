#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace adascale {

/// An object. Throws (user), naming `path`, when it cannot be opened or is none.
nlohmann::ordered_json read_config(const std::string& path);
/// Both throw (user) naming `path` and the system's reason when it cannot be written whole.
void write_json(const std::string& path, const nlohmann::ordered_json& json);
void copy_file(const std::string& from, const std::string& path);

}  // namespace adascale
