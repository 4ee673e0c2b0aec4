#include "adascale/sim/output_bits.h"

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/sim/layers.h"
#include "adascale/sim/near_names.h"

namespace adascale {
namespace {

/// What a pattern of layer_config may call a unit.
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

[[noreturn]] void refuse_pattern(const std::string& pattern, const UnitGraph& graph) {
  std::vector<std::string> names;
  for (const Unit& unit : graph.units())
    if (unit.role == DataRole::kComputes) names.push_back(unit.name);
  fail(
      "layer_config: pattern '{}' sets output_bw but matches no module or operator whose output is "
      "quantized; "
      "print(sim) or `adascale inspect` lists them{}",
      pattern, did_you_mean(pattern, names));
}

}  // namespace

std::vector<int64_t> output_bits(const UnitGraph& graph, const std::vector<Supergroup>& groups,
                                 const SimOptions& options) {
  const auto names = names_of_units(graph);
  std::vector<int64_t> bits(graph.units().size(), options.default_output_bw);
  for (const auto& [pattern, settings] : options.layer_config) {
    if (!settings.output_bw) continue;
    bool matches = false;
    for (UnitId unit = 0; unit < static_cast<UnitId>(bits.size()); ++unit) {
      if (!names[unit].match(pattern)) continue;
      bits[unit] = *settings.output_bw;
      matches = matches || graph.units()[unit].role == DataRole::kComputes;
    }
    if (!matches && !options.is_part) refuse_pattern(pattern, graph);
    for (const Supergroup& group : groups)
      for (const UnitId unit : group)
        if (names[unit].match(pattern)) bits[group.back()] = *settings.output_bw;
  }
  return bits;
}

}  // namespace adascale
