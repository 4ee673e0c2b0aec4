#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/formats/format.h"

namespace adascale {
namespace {

using Formats = std::vector<ChosenFormat>;

Formats choose_formats(const std::vector<std::string>& names, const std::vector<ExportFormat>& more,
                       Objections& objections) {
  if (names.empty()) objections.add("export: no format is named; `adascale list formats` lists them");
  Formats chosen;
  for (const std::string& name : names) {
    try {
      const ChosenFormat one = choose_format(name, more);
      const auto is_same = [&](const ChosenFormat& other) { return other.format == one.format; };
      if (std::none_of(chosen.begin(), chosen.end(), is_same))
        chosen.push_back(one);
      else
        objections.add("export: format '{}' is named twice", one.format->name);
    } catch (const Error& error) {  // boundary: one objection among others
      if (error.fault() == Error::Fault::kInternal) throw;
      objections.add("{}", error.what());
    }
  }
  return chosen;
}

void check_prefix(const std::string& prefix, Objections& objections) {
  constexpr std::string_view separators("/\\\0", 3);
  if (prefix.empty() || prefix.find_first_of(separators) != std::string::npos)
    objections.add(
        "export: prefix '{}' is no bare file name; give the folder as the path, and a name without slashes",
        prefix);
}

void check_calibrated(const QuantizationSimModel& sim, const Formats& formats, Objections& objections) {
  if (sim.is_calibrated() || sim.activations().empty()) return;
  std::vector<std::string> names;
  for (const auto& [format, target] : formats)
    if (format->holds_activations) names.push_back(format->name);
  if (names.empty()) return;
  objections.add(
      "export to {}: {} activation quantizers have no encodings; "
      "run compute_encodings first, or make the simulation with output_bw 32 (activations off)",
      fmt::join(names, ", "), sim.activations().size());
}

/// JSON has no NaN, and a reader that got one would fail far from its cause.
void check_scales(const QuantizationSimModel& sim, Objections& objections) {
  for (const QuantizedWeight& weight : sim.weights())
    if (weight.encoding && !weight.encoding->scale.isfinite().all().item<bool>())
      objections.add("export: {}: the weight's scale is NaN or infinite; quantize the model again",
                     weight.layer.name);
  for (const ActivationQuantizer& quantizer : sim.activations())
    if (quantizer.encoding && !std::isfinite(quantizer.encoding->scale))
      objections.add(
          "export: {} {}: the activation's scale is NaN or infinite; run compute_encodings on other data",
          quantizer.module, quantizer.port);
}

}  // namespace

std::vector<std::string> export_model(const QuantizationSimModel& sim, const std::string& folder,
                                      const std::string& prefix, const std::vector<std::string>& formats,
                                      const ExportOptions& options) {
  sim.check_unchanged();
  Objections objections;
  const Formats chosen = choose_formats(formats, options.more_formats, objections);
  const auto request = [&](const std::string& target) {
    return ExportRequest{sim, folder, prefix, options, target};
  };
  check_prefix(prefix, objections);
  std::vector<std::string> names;
  for (const auto& [format, target] : chosen) names.push_back(format->name);
  check_files_differ(names, prefix, options.more_formats, objections);
  check_calibrated(sim, chosen, objections);
  check_scales(sim, objections);
  for (const auto& [format, target] : chosen) format->check(request(target), objections);
  objections.raise();

  StagedFiles files(folder);
  for (const auto& [format, target] : chosen) format->write(request(target), files);
  return files.commit();
}

}  // namespace adascale
