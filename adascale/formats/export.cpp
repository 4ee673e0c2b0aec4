#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "adascale/core/spelling.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/format.h"
#include "adascale/formats/read_back.h"

namespace adascale {
namespace {

/// Objects to a prefix that is no bare file name.
void check_prefix(const std::string& prefix, Objections& objections) {
  constexpr std::string_view separators("/\\\0", 3);
  if (prefix.empty() || prefix.find_first_of(separators) != std::string::npos)
    objections.add(
        "export: prefix '{}' is no bare file name; give the folder as the path, and a name without slashes",
        prefix);
}

void check_files_differ(const ExportPlan& plan, Objections& objections) {
  std::map<std::string, std::string> writers;
  for (const std::string& file : plan.options.texts) writers[file] = "the run itself";
  for (size_t i = 0; i < plan.prepared.size(); ++i)
    for (const std::string& file : plan.prepared[i].files) {
      const std::string& name = plan.formats[i].format->name;
      const auto [writer, is_new] = writers.emplace(file, name);
      if (!is_new)
        objections.add("export: {}: both {} and {} write it; choose one", file, writer->second, name);
    }
}

/// Objects to activation quantizers without encodings where a format would hold them.
void check_calibrated(const ModelToWrite& model, const std::vector<ChosenFormat>& formats,
                      Objections& objections) {
  size_t missing = 0;
  for (const QuantizationSimModel* sim : model.sims)
    if (!sim->is_calibrated()) missing += sim->activations().size();
  if (missing == 0) return;
  std::vector<std::string> names;
  for (const auto& [format, target] : formats)
    if (format->holds_activations) names.push_back(format->name);
  if (names.empty()) return;
  objections.add(
      "export to {}: {} activation quantizers have no encodings; run compute_encodings first, or make the "
      "simulation with {} (activations off)",
      fmt::join(names, ", "), missing, option("output_bw", 32));
}

/// Objects to negative scales where a format has none.
void check_signs(const ModelToWrite& model, const std::vector<ChosenFormat>& formats,
                 Objections& objections) {
  std::vector<std::string> names;
  for (const auto& [format, target] : formats)
    if (!format->holds_signed_scales) names.push_back(format->name);
  const auto is_signed = [](const QuantizedWeight& weight) { return weight.grid.signed_scale; };
  const bool has_signed = std::any_of(model.sims.begin(), model.sims.end(), [&](const auto* sim) {
    return std::any_of(sim->weights().begin(), sim->weights().end(), is_signed);
  });
  if (!names.empty() && has_signed)
    objections.add(
        "export to {}: a scale may be negative in this simulation, which these formats do not hold; "
        "make it with {}",
        fmt::join(names, ", "), option("scale_sign", kPositive));
}

/// Objects to NaN and infinite scales: JSON has none, and a reader would fail far from the cause.
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

/// What only the finished model tells.
void check_finished(const ModelToWrite& model, const ExportPlan& plan, Objections& objections) {
  for (const QuantizationSimModel* sim : model.sims) objections.gather([&] { sim->check_unchanged(); });
  check_calibrated(model, plan.formats, objections);
  for (const QuantizationSimModel* sim : model.sims) check_scales(*sim, objections);
}

ExportRequest request_to(const ModelToWrite& model, const ExportPlan& plan, const ChosenFormat& chosen) {
  return {model, *model.sims.front(), plan.folder, plan.prefix, plan.options, chosen.target};
}

/// The last look at the files: a reader's message becomes one that says what to do.
void read_all_back(const ModelToWrite& model, const ExportPlan& plan,
                   const std::map<std::string, std::string>& texts, const StagedFiles& files) {
  files.flush();
  try {
    for (size_t i = 0; i < plan.prepared.size(); ++i)
      plan.prepared[i].read_back(request_to(model, plan, plan.formats[i]), files);
    for (const auto& [name, text] : texts) expect_text(files.aside(name), text);
  } catch (const Error& error) {  // boundary: adds the cure
    if (error.fault() == Error::Fault::kInternal) throw;
    const bool is_run = !plan.options.plan.empty();
    fail(
        "{}; the file was read back before it got its name, and no file was put in place: the disk or the "
        "memory may be faulty; {}, and report it if it happens again",
        error.what(), is_run ? "run again with " + option("resume", true) : "export again");
  }
}

std::vector<std::string> write_all(const ModelToWrite& model, const ExportPlan& plan,
                                   const std::map<std::string, std::string>& texts) {
  StagedFiles files(plan.folder);
  for (size_t i = 0; i < plan.prepared.size(); ++i)
    plan.prepared[i].write(request_to(model, plan, plan.formats[i]), files);
  for (const auto& [name, text] : texts)
    write_text_file(files.path(name), [&text = text](std::ostream& out) { out << text; });
  read_all_back(model, plan, texts, files);
  return files.commit();
}

}  // namespace

ModelToWrite::ModelToWrite(const PartedModel& model, std::function<std::vector<NamedTensor>()> state_in)
    : parts(&model), state(std::move(state_in)) {
  for (const SimPart& part : model.parts) sims.push_back(&part.sim);
}

std::vector<std::string> ExportPlan::paths() const {
  std::vector<std::string> paths;
  for (const PreparedFormat& format : prepared)
    for (const std::string& file : format.files)
      paths.push_back((std::filesystem::path(folder) / file).string());
  for (const std::string& file : options.texts)
    paths.push_back((std::filesystem::path(folder) / file).string());
  return paths;
}

std::vector<std::string> ExportPlan::notes() const {
  std::vector<std::string> notes;
  for (const PreparedFormat& format : prepared)
    notes.insert(notes.end(), format.notes.begin(), format.notes.end());
  return notes;
}

ExportPlan plan_export(const ModelToWrite& model, const std::vector<ChosenFormat>& formats,
                       const std::string& folder, const std::string& prefix, const ExportOptions& options,
                       Objections& objections) {
  ExportPlan plan{folder, prefix, options, formats, {}};
  check_prefix(prefix, objections);
  if (model.parts != nullptr) check_take_parts(formats, objections);
  for (const ChosenFormat& chosen : formats) {
    const bool can_ask = model.parts == nullptr || chosen.format->takes_parts;
    plan.prepared.push_back(can_ask ? chosen.format->prepare(request_to(model, plan, chosen))
                                    : PreparedFormat{});
    const PreparedFormat& prepared = plan.prepared.back();
    for (const std::string& objection : prepared.objections) objections.add("{}", objection);
    ADA_ASSERT(!can_ask || !prepared.objections.empty() || (prepared.write && prepared.read_back),
               chosen.format->name + " does not say how it writes and reads back");
  }
  check_signs(model, formats, objections);
  check_files_differ(plan, objections);
  return plan;
}

std::vector<std::string> write_files(const ModelToWrite& model, const ExportPlan& plan,
                                     const std::map<std::string, std::string>& texts) {
  Objections objections;
  check_finished(model, plan, objections);
  objections.raise();
  return write_all(model, plan, texts);
}

std::vector<std::string> export_model(const ModelToWrite& model, const std::string& folder,
                                      const std::string& prefix, const std::vector<std::string>& formats,
                                      const ExportOptions& options) {
  Objections objections;
  const std::vector<ChosenFormat> chosen = choose_formats(formats, objections);
  const ExportPlan plan = plan_export(model, chosen, folder, prefix, options, objections);
  check_finished(model, plan, objections);
  objections.raise();
  return write_all(model, plan, {});
}

}  // namespace adascale
