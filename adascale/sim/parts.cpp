#include "adascale/sim/parts.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/progress.h"
#include "adascale/core/spelling.h"
#include "adascale/graph/tensor_version.h"
#include "adascale/sim/calibration_steps.h"
#include "adascale/sim/compute_device.h"
#include "adascale/sim/sim_editor.h"

namespace adascale {
namespace {

/// The number of the part whose module holds the tensor of that name, or kNone.
int32_t part_of(const PartedModel& model, const std::string& name) {
  for (size_t i = 0; i < model.parts.size(); ++i)
    if (name.starts_with(model.parts[i].path + ".")) return static_cast<int32_t>(i);
  return kNone;
}

/// Whether the part quantizes the parameter, under this name or one tied to it within the part.
bool is_quantized(const QuantizationSimModel& sim, const std::string& name) {
  const auto& state = sim.program().state;
  const auto own = state.find(name);
  if (own == state.end()) return false;
  const auto& weights = sim.weights();
  return std::any_of(weights.begin(), weights.end(), [&](const QuantizedWeight& weight) {
    const auto& names = weight.layer.parameters;
    return std::find(names.begin(), names.end(), name) != names.end() ||
           state.at(names.front()).const_data_ptr() == own->second.const_data_ptr();
  });
}

struct Place {
  const PlacedTensor& at;
  int32_t part;
};

std::string module_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

/// A part's module under another name outside.
bool is_same_module(const Place& a, const Place& b) {
  return a.at.owner == b.at.owner && (a.part == kNone || b.part == kNone);
}

void check_tie(const PartedModel& model, const Place& first, const Place& second, Objections& objections) {
  if (first.part == second.part || is_same_module(first, second)) return;
  std::vector<std::string> off;
  for (const Place& place : {first, second})
    if (place.part != kNone && is_quantized(model.parts[place.part].sim, place.at.name))
      off.push_back(fmt::format(R"("{}": {{"param_bw": 32}})", module_of(place.at.name)));
  if (!off.empty())
    objections.add(
        "{} and {} are one tensor, but each block is quantized alone, which would untie them; leave them in "
        "full precision ({}: {{{}}}), or untie them first",
        first.at.name, second.at.name, option("layer_config"), fmt::join(off, ", "));
}

/// Those of the parts first, in the parts' order.
std::vector<Place> in_order(const PartedModel& model, const std::vector<PlacedTensor>& tensors) {
  std::vector<Place> inside, outside;
  for (const PlacedTensor& tensor : tensors) {
    if (tensor.tensor.layout() != at::kStrided || tensor.tensor.const_data_ptr() == nullptr) continue;
    const int32_t part = part_of(model, tensor.name);
    (part == kNone ? outside : inside).push_back({tensor, part});
  }
  std::vector<Place> all;
  for (int32_t part = 0; part < static_cast<int32_t>(model.parts.size()); ++part)
    for (const Place& place : inside)
      if (place.part == part) all.push_back(place);
  for (const Place& place : outside) all.push_back(place);
  return all;
}

void check_untied(const PartedModel& model, const std::vector<PlacedTensor>& places) {
  Objections objections;
  std::map<const void*, std::vector<Place>> seen;
  for (const Place& place : in_order(model, places)) {
    std::vector<Place>& same = seen[place.at.tensor.const_data_ptr()];
    for (const Place& first : same) check_tie(model, first, place, objections);
    same.push_back(place);
  }
  objections.raise();
}

/// A module that should be a part is said as such, with its reason.
bool is_not_captured(const PartedModel& model, const std::string& name) {
  return std::any_of(model.not_captured.begin(), model.not_captured.end(),
                     [&](const auto& one) { return name.starts_with(one.path + "."); });
}

/// Modules with a matrix of their own, by their first names.
std::vector<std::string> weights_outside(const PartedModel& model, const std::vector<PlacedTensor>& places) {
  std::vector<std::string> modules;
  std::set<uint64_t> seen;
  for (const PlacedTensor& place : places)
    if (part_of(model, place.name) != kNone) seen.insert(place.owner);
  for (const PlacedTensor& place : places) {
    if (!place.is_parameter || place.tensor.dim() < 2 || is_not_captured(model, place.name)) continue;
    if (!seen.insert(place.owner).second) continue;
    const std::string module = module_of(place.name);
    modules.push_back(module.empty() ? "(root)" : module);
  }
  return modules;
}

}  // namespace

PartedModel make_parted_model(std::vector<SimPart> parts, std::string refusal,
                              std::vector<PartedModel::LeftOut> not_captured,
                              const std::vector<PlacedTensor>& places) {
  PartedModel model{std::move(parts), std::move(refusal), std::move(not_captured), {}, {}};
  check_untied(model, places);
  model.outside = weights_outside(model, places);
  for (const PlacedTensor& place : places)
    if (part_of(model, place.name) == kNone && version_of(place.tensor) == place.version)
      model.watched.push_back(place);
  return model;
}

void check_device_of_parts(c10::Device asked, c10::Device device) {
  ADA_CHECK(asked == device,
            "{}: got {}, but a model that is quantized block by block runs where it is, on {}; leave it out, "
            "or move the model with model.to(...)",
            option("device"), asked.str(), device.str());
}

void check_outside_unchanged(const PartedModel& model) {
  for (const PlacedTensor& place : model.watched)
    ADA_CHECK(version_of(place.tensor) == place.version,
              "{}: the tensor was changed after the simulation was made, and they share it; make a new one",
              place.name);
}

void begin_calibration(const PartedModel& model) {
  for (const SimPart& part : model.parts) CalibrationSteps(part.sim).begin();
}

namespace {

bool is_missed(const SimPart& part) {
  return !part.sim.activations().empty() && CalibrationSteps(part.sim).calls() == 0;
}

void leave_off(const SimPart& part) {
  CalibrationSteps(part.sim).abort();
  for (int32_t i = 0; i < static_cast<int32_t>(part.sim.activations().size()); ++i)
    SimEditor(part.sim).turn_off_activation(i, "no data reached it");
  log_line(fmt::format("{}: no data reached it: its activations stay in full precision", part.path));
}

}  // namespace

void end_calibration(const PartedModel& model, bool may_miss) {
  std::vector<std::string> missed;
  for (const SimPart& part : model.parts)
    if (is_missed(part)) missed.push_back(part.path);
  ADA_CHECK(
      may_miss || missed.empty(),
      "compute_encodings: the forward pass never ran {}; call sim.model on data that reaches every block",
      fmt::join(missed, ", "));
  for (const SimPart& part : model.parts) {
    if (is_missed(part))
      leave_off(part);
    else
      CalibrationSteps(part.sim).end();
  }
}

void abort_calibration(const PartedModel& model) {
  for (const SimPart& part : model.parts) CalibrationSteps(part.sim).abort();
}

namespace {

/// Whether a pattern of a layer_config names a layer, a layer kind or a module of the part.
bool has_match(const QuantizationSimModel& sim, const std::string& pattern) {
  const auto is_call = [&](const ModuleCall& call) {
    return glob_match(pattern, call.label()) || glob_match(pattern, call.path);
  };
  const auto is_layer = [&](const Layer& layer) {
    return pattern == layer.kind->name || glob_match(pattern, layer.name);
  };
  const auto is_layer_of = [&](const QuantizedWeight& weight) { return is_layer(weight.layer); };
  const auto& calls = sim.program().calls;
  const auto& weights = sim.weights();
  const auto& excluded = sim.unquantized().excluded;
  return std::any_of(calls.begin(), calls.end(), is_call) ||
         std::any_of(weights.begin(), weights.end(), is_layer_of) ||
         std::any_of(excluded.begin(), excluded.end(), is_layer);
}

}  // namespace

void check_patterns(const PartedModel& model, const std::vector<std::string>& patterns) {
  const auto& parts = model.parts;
  Objections objections;
  for (const std::string& pattern : patterns)
    if (std::none_of(parts.begin(), parts.end(),
                     [&](const SimPart& part) { return has_match(part.sim, pattern); }))
      objections.add(
          "{}: pattern '{}' matches no layer of the {} blocks captured; what is outside them runs "
          "in full precision",
          option("layer_config"), pattern, parts.size());
  objections.raise();
}

namespace {

std::string difference_of(const Outputs& got, const Outputs& live) {
  constexpr double kTolerance = 1e-3;  // of the largest value
  if (got.size() != live.size()) return fmt::format("{} outputs instead of {}", got.size(), live.size());
  for (size_t i = 0; i < live.size(); ++i) {
    if (!live[i].isTensor() || !live[i].toTensor().is_floating_point() || live[i].toTensor().numel() == 0)
      continue;
    const at::Tensor expected = live[i].toTensor();
    const auto off = got[i].toTensor().sub(expected).abs().max().item<double>();
    const auto largest = expected.abs().max().item<double>();
    if (!(off <= kTolerance * largest)) return fmt::format("off by {:.3g} of {:.3g}", off, largest);
  }
  return {};
}

}  // namespace

std::string difference_to_live(Program program, const Inputs& inputs, const Outputs& live) {
  const at::NoGradGuard no_grad;
  program.device = compute_device(program, "auto");
  check_inputs(program, inputs);
  Environment environment(program);
  feed_inputs(program, inputs, environment);
  Interpreter(program).run(environment, {});
  return difference_of(collect_outputs(program, environment), live);
}

std::string difference_to_live(const QuantizationSimModel& sim, const Inputs& inputs, const Outputs& live) {
  return difference_of(sim.run(inputs, SimMode::kFloat), live);
}

}  // namespace adascale
