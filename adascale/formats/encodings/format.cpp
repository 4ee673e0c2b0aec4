#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "adascale/core/spelling.h"
#include "adascale/formats/encodings/files.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/format.h"
#include "adascale/quant/forms/form.h"

// The layouts are AIMET's (aimet-torch 2.42).
namespace adascale {
namespace {

/// A model in parts has no program whose tensors could have names.
std::vector<std::string> encodings_files_of(const ExportRequest& request) {
  if (request.model.parts != nullptr) return {request.prefix + "_torch.encodings"};
  return {request.prefix + "_torch.encodings", request.prefix + ".encodings"};
}

std::vector<EncodedPart> parts_of(const ExportRequest& request) {
  if (request.model.parts == nullptr) return {EncodedPart{request.sim}};
  std::vector<EncodedPart> parts;
  for (const auto& [sim, path] : request.model.parts->parts) parts.push_back({sim, path});
  return parts;
}

std::vector<std::string> excluded_of(const ExportRequest& request) {
  if (request.model.parts == nullptr) return excluded_layers(request.sim);
  const std::vector<std::string>& outside = request.model.parts->outside;
  std::set<std::string> excluded(outside.begin(), outside.end());
  for (const EncodedPart& part : parts_of(request)) {
    const std::vector<std::string> own = excluded_layers(part.sim);
    excluded.insert(own.begin(), own.end());
  }
  return {excluded.begin(), excluded.end()};
}

void write_encodings_files(const ExportRequest& request, StagedFiles& files) {
  const std::string& version = request.options.encoding_version;
  const std::vector<std::string> names = encodings_files_of(request);
  write_text_file(files.path(names[0]), [&](std::ostream& out) {
    write_encodings_by_module(out, parts_of(request), excluded_of(request), version);
  });
  if (names.size() > 1)
    write_text_file(files.path(names[1]),
                    [&](std::ostream& out) { write_encodings_by_tensor(out, request.sim, version); });
}

void read_back_encodings_files(const ExportRequest& request, const StagedFiles& files) {
  const std::string& version = request.options.encoding_version;
  const std::vector<std::string> names = encodings_files_of(request);
  expect_encodings_by_module(files.aside(names[0]), parts_of(request), version);
  if (names.size() > 1) expect_encodings_by_tensor(files.aside(names[1]), request.sim, version);
}

bool is_of_2(const std::string& version) {
  return version.starts_with("2.");
}

void check_version(const std::string& version, Objections& objections) {
  const auto& known = encoding_versions();
  if (std::find(known.begin(), known.end(), version) == known.end())
    objections.add("encodings: got {} '{}', expected one of {}", option("encoding_version"), version,
                   fmt::join(known, ", "));
}

/// 2.x uses the names of ONNX's types.
bool is_onnx_width(int64_t bits) {
  return bits == 2 || bits == 4 || bits == 8 || bits == 16;
}

void check_widths(const ModelToWrite& model, Objections& objections) {
  std::map<int, std::vector<std::string>> odd;
  for (const QuantizationSimModel* sim : model.sims) {
    for (const QuantizedWeight& weight : sim->weights())
      if (!is_onnx_width(weight.grid.bits)) odd[weight.grid.bits].push_back(weight.layer.name);
    for (const ActivationQuantizer& quantizer : sim->activations())
      if (!is_onnx_width(quantizer.bits))
        odd[quantizer.bits].push_back(fmt::format("{} {}", quantizer.module, quantizer.port));
  }
  for (const auto& [bits, names] : odd)
    objections.add(
        "encodings: ONNX, whose types versions 2.x name, has no integers of {} bits ({}); use 2, 4, 8 or 16, "
        "or {}",
        bits, fmt::join(names, ", "), option("encoding_version", "1.0.0"));
}

void check_weights(const QuantizationSimModel& sim, Objections& objections) {
  for (const QuantizedWeight& weight : sim.weights()) {
    if (!weight.grid.is_plain() && weight.grid.form != lpbq_form())
      objections.add(
          "encodings: {}: its grid, {}, has no place in the file; use a grid of plain scales and integer "
          "offsets",
          weight.layer.name, to_string(weight.grid));
    const at::IntArrayRef sizes = sim.program().state.at(weight.layer.parameters.front()).sizes();
    if (missing_in_last_group(sizes, weight.grid) > 0) {
      const int64_t length = sizes[weight.grid.group_axis];
      objections.add("encodings: {}: its blocks are of one size, and {} {} is no multiple of {} {}; use {}",
                     weight.layer.name, axis_name(weight.grid.group_axis, sizes.size()), length,
                     option("group_size"), weight.grid.group_size,
                     dividing_group_sizes(length, weight.grid.group_size));
    }
  }
}

PreparedFormat prepare_encodings(const ExportRequest& request) {
  Objections objections;
  check_version(request.options.encoding_version, objections);
  if (is_of_2(request.options.encoding_version)) check_widths(request.model, objections);
  for (const QuantizationSimModel* sim : request.model.sims) check_weights(*sim, objections);
  return {.objections = objections.texts(),
          .files = encodings_files_of(request),
          .write = write_encodings_files,
          .read_back = read_back_encodings_files};
}

}  // namespace

const std::vector<std::string>& encoding_versions() {
  static const std::vector<std::string> versions = {"0.6.1", "1.0.0", "2.0.0", "2.1.0"};
  return versions;
}

ExportFormat encodings_format() {
  return {
      .name = "encodings",
      .description = "AIMET's encodings by module name (_torch) and by tensor name, versions 0.6.1 to 2.1.0",
      .files = {"PREFIX_torch.encodings", "PREFIX.encodings"},
      .how_to_load = "sim.load_encodings('PREFIX_torch.encodings')",
      .weights_as = WeightsAs::kNothing,
      .holds_activations = true,
      .takes_parts = true,
      .prepare = prepare_encodings};
}

}  // namespace adascale
