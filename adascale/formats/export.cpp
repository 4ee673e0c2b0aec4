#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "adascale/formats/export_checks.h"
#include "adascale/formats/folder_files.h"

namespace adascale {

void check_prefix(const std::string& prefix, Objections& objections) {
  constexpr std::string_view separators("/\\\0", 3);
  if (prefix.empty() || prefix.find_first_of(separators) != std::string::npos)
    objections.add(
        "export: prefix '{}' is no bare file name; give the folder as the path, and a name without slashes",
        prefix);
}

namespace {

void check_files_differ(const ExportPlan& plan, Objections& objections) {
  std::map<std::string, std::string> writers;
  for (size_t i = 0; i < plan.prepared.size(); ++i)
    for (const std::string& file : plan.prepared[i].files) {
      const std::string& name = plan.formats[i].format->name;
      const auto [writer, is_new] = writers.emplace(file, name);
      if (!is_new)
        objections.add("export: {}: both {} and {} write it; choose one", file, writer->second, name);
    }
}

}  // namespace

void check_calibrated(const QuantizationSimModel& sim, const std::vector<ChosenFormat>& formats,
                      Objections& objections) {
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

namespace {

/// What only the finished model tells.
void check_finished(const QuantizationSimModel& sim, const ExportPlan& plan, Objections& objections) {
  objections.gather([&] { sim.check_unchanged(); });
  check_calibrated(sim, plan.formats, objections);
  check_scales(sim, objections);
}

std::vector<std::string> write_all(const QuantizationSimModel& sim, const ExportPlan& plan,
                                   const std::map<std::string, std::string>& texts) {
  StagedFiles files(plan.folder);
  for (size_t i = 0; i < plan.prepared.size(); ++i)
    plan.prepared[i].write({sim, plan.folder, plan.prefix, plan.options, plan.formats[i].target}, files);
  for (const auto& [name, text] : texts)
    write_text_file(files.path(name), [&text = text](std::ostream& out) { out << text; });
  return files.commit();
}

}  // namespace

std::vector<std::string> ExportPlan::paths() const {
  std::vector<std::string> paths;
  for (const PreparedFormat& format : prepared)
    for (const std::string& file : format.files)
      paths.push_back((std::filesystem::path(folder) / file).string());
  return paths;
}

std::vector<std::string> ExportPlan::notes() const {
  std::vector<std::string> notes;
  for (const PreparedFormat& format : prepared)
    notes.insert(notes.end(), format.notes.begin(), format.notes.end());
  return notes;
}

ExportPlan plan_export(const QuantizationSimModel& sim, const std::vector<ChosenFormat>& formats,
                       const std::string& folder, const std::string& prefix, const ExportOptions& options,
                       Objections& objections) {
  ExportPlan plan{folder, prefix, options, formats, {}};
  check_prefix(prefix, objections);
  for (const auto& [format, target] : formats) {
    plan.prepared.push_back(format->prepare({sim, folder, prefix, options, target}));
    for (const std::string& objection : plan.prepared.back().objections) objections.add("{}", objection);
  }
  check_files_differ(plan, objections);
  return plan;
}

std::vector<std::string> write_files(const QuantizationSimModel& sim, const ExportPlan& plan,
                                     const std::map<std::string, std::string>& texts) {
  Objections objections;
  check_finished(sim, plan, objections);
  objections.raise();
  return write_all(sim, plan, texts);
}

std::vector<std::string> export_model(const QuantizationSimModel& sim, const std::string& folder,
                                      const std::string& prefix, const std::vector<std::string>& formats,
                                      const ExportOptions& options) {
  Objections objections;
  const std::vector<ChosenFormat> chosen = choose_formats(formats, objections);
  const ExportPlan plan = plan_export(sim, chosen, folder, prefix, options, objections);
  check_finished(sim, plan, objections);
  objections.raise();
  return write_all(sim, plan, {});
}

}  // namespace adascale
