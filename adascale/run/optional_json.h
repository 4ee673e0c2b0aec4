#pragma once
#include <nlohmann/json.hpp>
#include <optional>

namespace adascale {

/// null for nothing.
inline nlohmann::ordered_json optional_json(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace adascale
