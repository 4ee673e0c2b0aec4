#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adascale/formats/format.h"
#include "adascale/formats/saved_state.h"
#include "adascale/formats/version.h"
#include "adascale/quant/row_layout.h"

// The layout is AIMET's: `<prefix>_torch.encodings` has the same maps in versions 0.6.1 and 1.0.0
// (aimet-torch 2.42).
namespace adascale {
namespace {

using nlohmann::json;

/// `lowest`: the code that min has; x = scale * (unsigned code + lowest). min and max are fp32 products, as
/// AIMET's.
json affine_entry(int bits, bool symmetric, float scale, int64_t lowest) {
  const int64_t highest = lowest + (int64_t{1} << bits) - 1;
  return {{"bitwidth", bits},
          {"dtype", "int"},
          {"is_symmetric", symmetric ? "True" : "False"},
          {"max", scale * static_cast<float>(highest)},
          {"min", scale * static_cast<float>(lowest)},
          {"offset", lowest},
          {"scale", scale}};
}

/// Module -> "input" or "output" -> index -> entry.
json activation_entries(const QuantizationSimModel& sim) {
  json entries = json::object();
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    if (!quantizer.encoding) continue;
    json& entry = entries[quantizer.module][quantizer.port][std::to_string(quantizer.index)];
    ADA_ASSERT(entry.is_null(), fmt::format("two quantizers of {} {}", quantizer.module, quantizer.port));
    const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
    entry = affine_entry(quantizer.bits, quantizer.symmetric, static_cast<float>(quantizer.encoding->scale),
                         grid.qmin() + quantizer.encoding->offset);
  }
  return entries;
}

/// One entry a line: channels, or blocks of a channel side by side, the output channel outermost; outside it
/// the matrices of a stack.
void write_weight(std::ostream& out, const Encoding& encoding) {
  const RowLayout layout(encoding.codes.sizes(), encoding.grid);
  const at::Tensor scale = layout.to_rows(scale_of_codes(encoding)).contiguous();
  const at::Tensor offset = layout.to_rows(encoding.offset.to(at::kLong)).contiguous();
  const float* scales = scale.const_data_ptr<float>();
  const int64_t* offsets = offset.const_data_ptr<int64_t>();
  const Grid& grid = encoding.grid;
  for (int64_t i = 0; i < scale.numel(); ++i)
    out << (i == 0 ? "[\n" : ",\n")
        << affine_entry(grid.bits, grid.symmetric, scales[i], grid.qmin() + offsets[i]).dump();
  out << "]";
}

/// Written as it goes: a model in groups of 64 has millions of entries. Tied weights appear under each of
/// their names.
void write_weights(std::ostream& out, const QuantizationSimModel& sim) {
  const char* separator = "{\n";
  for (const SavedTensor& saved : saved_state(sim)) {
    if (saved.weight == kNone) continue;
    const Encoding encoding = sim.weight_encoding(saved.weight);
    for (const std::string& name : saved.names) {
      out << separator << json(name).dump() << ": ";
      write_weight(out, encoding);
      separator = ",\n";
    }
  }
  out << (*separator == '{' ? "{}" : "}");
}

/// AIMET's name of the scheme; its range-learning schemes are written as what they start from.
std::string scheme_name(QuantScheme scheme) {
  switch (scheme) {
    case QuantScheme::post_training_tf:
    case QuantScheme::training_range_learning_with_tf_init:
      return "min_max";
    case QuantScheme::post_training_tf_enhanced:
    case QuantScheme::training_range_learning_with_tf_enhanced_init:
      return "post_training_tf_enhanced";
    case QuantScheme::post_training_percentile:
      return "post_training_percentile";
  }
  ADA_ASSERT(false, "quant scheme without a name");
}

json quantizer_args(const QuantizationSimModel& sim) {
  bool symmetric = sim.options().symmetric, per_channel = false;
  for (const QuantizedWeight& weight : sim.weights()) {
    symmetric = symmetric && weight.grid.symmetric;
    per_channel = per_channel || weight.grid.per_channel();
  }
  return {{"activation_bitwidth", sim.options().default_output_bw},
          {"dtype", "int"},
          {"is_symmetric", symmetric},
          {"param_bitwidth", sim.options().default_param_bw},
          {"per_channel_quantization", per_channel},
          {"quant_scheme", scheme_name(sim.options().quant_scheme)}};
}

json excluded_layers(const QuantizationSimModel& sim) {
  json names = json::array();
  for (const Layer& layer : sim.excluded()) names.push_back(layer.name);
  return names;
}

void write_encodings_file(const ExportRequest& request, StagedFiles& files) {
  const QuantizationSimModel& sim = request.sim;
  const std::string path = files.path(request.prefix + "_torch.encodings");
  std::ofstream out(path);
  out << "{\n\"activation_encodings\": " << activation_entries(sim).dump(4);
  out << ",\n\"excluded_layers\": " << excluded_layers(sim).dump(4);
  out << ",\n\"param_encodings\": ";
  write_weights(out, sim);
  out << ",\n\"producer\": " << json{{"package", "adascale"}, {"version", kVersion}}.dump(4);
  out << ",\n\"quantizer_args\": " << quantizer_args(sim).dump(4);
  out << ",\n\"version\": " << json(request.options.encoding_version).dump() << "\n}\n";
  out.close();
  ADA_CHECK(out, "{}: cannot be written: {}", path, std::strerror(errno));
}

void check_version(const std::string& version, Objections& objections) {
  if (version != "1.0.0" && version != "0.6.1")
    objections.add("encodings: got encoding_version '{}', expected 1.0.0 or 0.6.1", version);
}

void check_weights(const ExportRequest& request, Objections& objections) {
  std::vector<std::string> grouped;
  for (const QuantizedWeight& weight : request.sim.weights()) {
    if (weight.grid.per_group()) grouped.push_back(weight.layer.name);
    if (weight.grid.float_minimum || weight.grid.has_superblocks())
      objections.add(
          "encodings: {}: its grid has a float minimum or superblocks, which the file has no place for; use "
          "a "
          "grid of plain scales and integer offsets",
          weight.layer.name);
  }
  if (request.options.encoding_version == "0.6.1" && !grouped.empty())
    objections.add(
        "encodings: version 0.6.1 has no form for weights in groups ({}); use encoding_version 1.0.0, or "
        "group_size 0",
        fmt::join(grouped, ", "));
}

void check(const ExportRequest& request, Objections& objections) {
  check_version(request.options.encoding_version, objections);
  check_weights(request, objections);
}

}  // namespace

ExportFormat encodings_format() {
  return {.name = "encodings",
          .description = "AIMET's encodings by module name (encoding_version 1.0.0 or 0.6.1)",
          .files = {"PREFIX_torch.encodings"},
          .holds_activations = true,
          .check = check,
          .write = write_encodings_file};
}

}  // namespace adascale
