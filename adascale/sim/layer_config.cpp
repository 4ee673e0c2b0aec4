#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/sim/json_reader.h"
#include "adascale/sim/options.h"

namespace adascale {
namespace {

int64_t read_bits(const JsonReader& json, int64_t lowest) {
  constexpr int64_t kHighest = 16;
  const int64_t bits = json.integer();
  ADA_CHECK((bits >= lowest && bits <= kHighest) || bits == kOffBits,
            "{}: got {}, expected {} to {}, or {} for off", json.where(), bits, lowest, kHighest, kOffBits);
  return bits;
}

int64_t read_group_size(const JsonReader& json) {
  const int64_t size = json.integer();
  ADA_CHECK(size >= 0, "{}: got {}, expected 0 (one scale per channel) or more", json.where(), size);
  return size;
}

int64_t read_decompressed_bw(const JsonReader& json) {
  const int64_t bits = json.integer();
  ADA_CHECK(bits >= 0 && bits <= 16, "{}: got {}, expected 1 to 16, or 0 (no LPBQ)", json.where(), bits);
  return bits;
}

std::string read_grid(const JsonReader& json) {
  const std::string name = json.text();
  const auto names = names_of_grids();
  ADA_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "{}: got '{}', expected one of {}",
            json.where(), name, fmt::join(names, ", "));
  return name;
}

/// One row per key: how its value goes into the settings.
const std::map<std::string, std::function<void(const JsonReader&, LayerSettings&)>>& keys() {
  static const std::map<std::string, std::function<void(const JsonReader&, LayerSettings&)>> table = {
      {"param_bw", [](const JsonReader& json, LayerSettings& into) { into.param_bw = read_bits(json, 2); }},
      {"grid", [](const JsonReader& json, LayerSettings& into) { into.grid = read_grid(json); }},
      {"group_size",
       [](const JsonReader& json, LayerSettings& into) { into.group_size = read_group_size(json); }},
      {"decompressed_bw", [](const JsonReader& json,
                             LayerSettings& into) { into.decompressed_bw = read_decompressed_bw(json); }},
      {"symmetric", [](const JsonReader& json, LayerSettings& into) { into.symmetric = json.boolean(); }},
      {"per_channel", [](const JsonReader& json, LayerSettings& into) { into.per_channel = json.boolean(); }},
      {"trained", [](const JsonReader& json, LayerSettings& into) { into.trained = json.boolean(); }},
      {"output_bw", [](const JsonReader& json, LayerSettings& into) { into.output_bw = read_bits(json, 4); }},
      {"output_symmetric",
       [](const JsonReader& json, LayerSettings& into) { into.output_symmetric = json.boolean(); }},
      {"input_bw", [](const JsonReader& json, LayerSettings& into) { into.input_bw = read_bits(json, 4); }},
      {"input_symmetric",
       [](const JsonReader& json, LayerSettings& into) { into.input_symmetric = json.boolean(); }},
  };
  return table;
}

LayerSettings read_settings(const JsonReader& json) {
  std::vector<std::string> names;
  for (const auto& [name, read] : keys()) names.push_back(name);
  LayerSettings settings;
  const auto members = json.members(names);
  ADA_CHECK(!members.empty(),
            "{}: no settings, so it would change nothing; set param_bw, say, or take it out", json.where());
  for (const auto& [name, value] : members) keys().at(name)(value, settings);
  return settings;
}

LayerConfig parse(const std::string& text, const std::string& origin) {
  const OrderedJson document = parse_json(text, origin);
  LayerConfig config;
  for (const auto& [pattern, settings] : JsonReader(document, origin).members()) {
    ADA_CHECK(!pattern.empty(), "{}: an empty pattern, expected a glob over layer names or a layer kind",
              origin);
    config.emplace_back(pattern, read_settings(settings));
  }
  return config;
}

}  // namespace

LayerConfig parse_layer_config(const std::string& json) {
  return parse(json, option("layer_config"));
}

LayerConfig read_layer_config(const std::string& path) {
  return parse(read_text_file(path, "layer settings in JSON"), path);
}

}  // namespace adascale
