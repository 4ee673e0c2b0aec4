#include "adascale/formats/export_parts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "adascale/formats/encodings/files.h"
#include "adascale/formats/export_checks.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/metadata.h"
#include "adascale/formats/saved_state.h"

namespace adascale {
namespace {

struct PartsRequest {
  const PartedModel& model;
  const std::vector<NamedTensor>& state;
  std::string prefix;
  ExportOptions options;
};

/// A quantized parameter's values on its grid, folded or not.
using OnGrid = std::map<std::string, at::Tensor>;

OnGrid values_on_grid(const PartedModel& model) {
  OnGrid values;
  for (const SimPart& part : model.parts) {
    for (const SavedTensor& saved : saved_state(part.sim)) {
      if (saved.weight == kNone) continue;
      const at::Tensor value = values_of(part.sim, saved);
      for (const std::string& name : saved.names) values.emplace(name, value);
    }
  }
  return values;
}

/// The group's values: those on a grid if one of its names has any.
at::Tensor value_of(const std::vector<size_t>& group, const PartsRequest& request, const OnGrid& on_grid) {
  for (const size_t i : group) {
    const auto found = on_grid.find(request.state[i].name);
    if (found != on_grid.end()) return found->second.contiguous();
  }
  return request.state[group.front()].tensor.detach().cpu().contiguous();
}

void write_safetensors_of_parts(const PartsRequest& request, StagedFiles& files) {
  std::vector<const QuantizationSimModel*> sims;
  for (const SimPart& part : request.model.parts) sims.push_back(&part.sim);
  std::map<std::string, std::string> metadata = producer_metadata(sims, request.options);
  metadata["format"] = "pt";
  std::vector<at::Tensor> shown;
  for (const NamedTensor& named : request.state) shown.push_back(named.tensor);
  const OnGrid on_grid = values_on_grid(request.model);
  std::vector<NamedTensor> tensors;
  for (const std::vector<size_t>& group : group_tied(shown)) {
    const std::string& first = request.state[group.front()].name;
    tensors.push_back({first, value_of(group, request, on_grid)});
    for (const size_t i : group)
      if (i != group.front()) metadata.emplace(request.state[i].name, first);
  }
  write_safetensors(files.path(request.prefix + ".safetensors"), tensors, metadata);
}

void write_encodings_of_parts(const PartsRequest& request, StagedFiles& files) {
  const PartedModel& model = request.model;
  std::vector<EncodedPart> parts;
  std::set<std::string> excluded(model.outside.begin(), model.outside.end());
  for (const auto& [sim, path] : model.parts) {
    parts.push_back({sim, path});
    const std::vector<std::string> own = excluded_layers(sim);
    excluded.insert(own.begin(), own.end());
  }
  write_text_file(files.path(request.prefix + "_torch.encodings"), [&](std::ostream& out) {
    write_encodings_by_module(out, parts, {excluded.begin(), excluded.end()},
                              request.options.encoding_version);
  });
}

struct PartsFormat {
  std::string name;
  void (*write)(const PartsRequest&, StagedFiles&);
};

const std::vector<PartsFormat>& parts_formats() {
  static const std::vector<PartsFormat> formats = {{"safetensors", write_safetensors_of_parts},
                                                   {"encodings", write_encodings_of_parts}};
  return formats;
}

const PartsFormat* find_parts_format(const std::string& name) {
  for (const PartsFormat& format : parts_formats())
    if (format.name == name) return &format;
  return nullptr;
}

void check_need_no_program(const std::vector<ChosenFormat>& formats, Objections& objections) {
  std::vector<std::string> whole, known;
  for (const auto& [format, target] : formats)
    if (!find_parts_format(format->name)) whole.push_back(format->name);
  for (const PartsFormat& format : parts_formats()) known.push_back(format.name);
  if (!whole.empty())
    objections.add(
        "export: {}: this model was captured block by block and has no program of the whole; use {}",
        fmt::join(whole, ", "), fmt::join(known, ", "));
}

void check_part(const SimPart& part, const std::vector<ChosenFormat>& formats, const std::string& folder,
                const std::string& prefix, const ExportOptions& options, Objections& objections) {
  check_calibrated(part.sim, formats, objections);
  check_scales(part.sim, objections);
  for (const auto& [format, target] : formats)
    if (find_parts_format(format->name))
      for (const std::string& text : format->prepare({part.sim, folder, prefix, options, target}).objections)
        objections.add("{}", text);
}

}  // namespace

std::vector<std::string> export_parts(const PartedModel& model, const std::vector<NamedTensor>& state,
                                      const std::string& folder, const std::string& prefix,
                                      const std::vector<std::string>& formats, const ExportOptions& options) {
  Objections objections;
  const std::vector<ChosenFormat> chosen = choose_formats(formats, objections);
  check_prefix(prefix, objections);
  check_need_no_program(chosen, objections);
  for (const SimPart& part : model.parts) {
    part.sim.check_unchanged();
    Objections own;
    check_part(part, chosen, folder, prefix, options, own);
    // An option that is wrong is wrong for each part.
    for (const std::string& text : own.texts())
      if (std::find(objections.texts().begin(), objections.texts().end(), text) == objections.texts().end())
        objections.add("{}", text);
  }
  objections.raise();

  StagedFiles files(folder);
  const PartsRequest request{model, state, prefix, options};
  for (const auto& [format, target] : chosen) find_parts_format(format->name)->write(request, files);
  return files.commit();
}

}  // namespace adascale
