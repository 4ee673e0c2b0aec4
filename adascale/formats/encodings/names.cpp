#include "adascale/formats/encodings/names.h"

#include <algorithm>

#include "adascale/formats/saved_state.h"

namespace adascale {
namespace {

/// "/layers/layers.0/fc/Gemm_output_0" -> "layers.0.fc": the path of a module in a list repeats the
/// list's name. Empty when it is not such a name.
std::string module_of_path(const std::string& name) {
  if (!name.starts_with('/') || name.rfind("_output_") == std::string::npos) return {};
  std::vector<std::string> steps;
  size_t start = 1;
  for (size_t end = name.find('/', start); end != std::string::npos; end = name.find('/', start)) {
    const std::string step = name.substr(start, end - start);
    if (!steps.empty() && step.starts_with(steps.back() + ".")) steps.pop_back();
    steps.push_back(step);
    start = end + 1;
  }
  std::string module;
  for (const std::string& step : steps) module += (module.empty() ? "" : ".") + step;
  return module;
}

}  // namespace

EncodingNames::EncodingNames(const QuantizationSimModel& sim) : sim_(sim), graph_(sim.program()) {
  for (const SavedTensor& saved : saved_state(sim))
    for (const std::string& name : saved.names) weights_.emplace(name, saved.weight);
  for (size_t i = 0; i < sim.activations().size(); ++i)
    activations_.emplace(sim.activations()[i].value, static_cast<int32_t>(i));
}

std::optional<int32_t> EncodingNames::weight(const std::string& name) const {
  const auto found = weights_.find(name);
  return found == weights_.end() ? std::nullopt : std::optional(found->second);
}

int32_t EncodingNames::transposed_weight(const std::string& name) const {
  const size_t end = name.rfind('_');
  const bool is_numbered = end != std::string::npos && end + 1 < name.size() &&
                           name.find_first_not_of("0123456789", end + 1) == std::string::npos;
  const auto found = is_numbered ? weights_.find(name.substr(0, end)) : weights_.end();
  if (found == weights_.end() || found->second == kNone) return kNone;
  return sim_.program().state.at(found->first).dim() == 2 ? found->second : kNone;
}

std::optional<int32_t> EncodingNames::activation(const FileEntry& entry) const {
  if (!entry.port.empty()) return of_module(entry.name, entry.port, entry.index);
  if (const auto found = of_name(entry.name)) return found;
  const std::string module = module_of_path(entry.name);
  return module.empty() ? std::nullopt : of_module(module, "output", 0);
}

/// Values that only move another value's numbers share its encoding.
std::optional<int32_t> EncodingNames::of_value(ValueId value) const {
  for (; value != kNone; value = graph_.flow().moved_from(value)) {
    const auto found = activations_.find(value);
    if (found != activations_.end()) return found->second;
  }
  return kNone;
}

std::optional<int32_t> EncodingNames::of_name(const std::string& name) const {
  for (const ProgramInput* input : sim_.program().user_inputs())
    if (input->name == name && input->value != kNone) return of_value(input->value);
  const ValueId value = sim_.program().find_value(name);
  if (value != kNone) return of_value(value);
  return of_module(name, "output", 0);
}

std::optional<int32_t> EncodingNames::of_module(const std::string& module, const std::string& port,
                                                int64_t index) const {
  const auto& activations = sim_.activations();
  for (size_t i = 0; i < activations.size(); ++i)
    if (activations[i].module == module && activations[i].port == port && activations[i].index == index)
      return static_cast<int32_t>(i);
  for (UnitId unit = 0; unit < static_cast<UnitId>(graph_.units().size()); ++unit) {
    if (graph_.units()[unit].name != module) continue;
    if (port == "input") {
      const auto inputs = graph_.inputs(unit);
      return index < static_cast<int64_t>(inputs.size()) ? of_value(inputs[index]) : std::nullopt;
    }
    for (const UnitOutput& output : graph_.units()[unit].outputs)
      if (output.index == index) return of_value(output.value);
  }
  return std::nullopt;
}

std::vector<std::string> EncodingNames::known_names(const FileEntry& entry) const {
  std::vector<std::string> names;
  if (entry.port.empty())
    for (const auto& [name, weight] : weights_) names.push_back(name);
  for (const Unit& unit : graph_.units()) names.push_back(unit.name);
  for (const auto& [value, quantizer] : activations_) names.push_back(sim_.program().values[value].name);
  return names;
}

}  // namespace adascale
