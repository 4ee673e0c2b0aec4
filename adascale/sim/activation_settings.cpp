#include "adascale/sim/activation_settings.h"

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/spelling.h"
#include "adascale/core/words.h"
#include "adascale/sim/layers.h"

namespace adascale {
namespace {

/// The names of a unit that a pattern of layer_config may use.
struct Names {
  std::vector<std::string> names, kinds;

  bool match(const std::string& pattern) const {
    return std::find(kinds.begin(), kinds.end(), pattern) != kinds.end() ||
           std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return glob_match(pattern, name); });
  }
};

std::vector<Names> names_of_units(const UnitGraph& graph) {
  std::vector<Names> all;
  for (const Unit& unit : graph.units()) all.push_back({{unit.name, unit.path}, {}});
  for (const Layer& layer : find_layers(graph.program()).layers) {
    for (const NodeId node : layer.nodes) {
      Names& unit = all[graph.unit_of(node)];
      unit.names.push_back(layer.name);
      unit.kinds.push_back(layer.kind->name);
    }
  }
  return all;
}

/// The first setting of the entry, as spelt there.
const char* setting_of(const LayerSettings& settings) {
  if (settings.output_bw) return "output_bw";
  if (settings.output_symmetric) return "output_symmetric";
  return settings.input_bw ? "input_bw" : "input_symmetric";
}

[[noreturn]] void refuse_pattern(const std::string& pattern, const LayerSettings& settings,
                                 const UnitGraph& graph) {
  std::vector<std::string> names;
  for (const Unit& unit : graph.units())
    if (unit.role == DataRole::kComputes) names.push_back(unit.name);
  fail(
      "{}: pattern '{}' sets {} but matches no module or operator whose output is quantized; print(sim) or "
      "`adascale inspect` lists them{}",
      option("layer_config"), pattern, setting_of(settings), did_you_mean(pattern, names));
}

bool sets_output(const LayerSettings& settings) {
  return settings.output_bw || settings.output_symmetric;
}

bool sets_input(const LayerSettings& settings) {
  return settings.input_bw || settings.input_symmetric;
}

template <class T>
void overwrite(std::optional<T>& with, const std::optional<T>& given) {
  if (given) with = given;
}

void apply_output(const LayerSettings& settings, UnitSettings& unit) {
  unit.output_bw = settings.output_bw.value_or(unit.output_bw);
  overwrite(unit.output_symmetric, settings.output_symmetric);
}

void apply_input(const LayerSettings& settings, UnitSettings& unit) {
  overwrite(unit.input_bw, settings.input_bw);
  overwrite(unit.input_symmetric, settings.input_symmetric);
}

}  // namespace

std::vector<UnitSettings> activation_settings(const UnitGraph& graph, const std::vector<Supergroup>& groups,
                                              const SimOptions& options) {
  const auto names = names_of_units(graph);
  std::vector<UnitSettings> units(graph.units().size(), {options.default_output_bw, {}, {}, {}});
  for (const auto& [pattern, settings] : options.layer_config) {
    if (!sets_output(settings) && !sets_input(settings)) continue;
    bool matches = false;
    for (UnitId unit = 0; unit < static_cast<UnitId>(units.size()); ++unit) {
      if (!names[unit].match(pattern)) continue;
      apply_output(settings, units[unit]);
      apply_input(settings, units[unit]);
      matches = matches || graph.units()[unit].role == DataRole::kComputes;
    }
    if (!matches) refuse_pattern(pattern, settings, graph);
    for (const Supergroup& group : groups)
      for (const UnitId unit : group)
        if (names[unit].match(pattern)) apply_output(settings, units[group.back()]);
  }
  return units;
}

}  // namespace adascale
