#include "adascale/formats/packed_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "adascale/core/spelling.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/metadata.h"
#include "adascale/formats/saved_state.h"
#include "adascale/formats/source_folder.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeight = ".weight";
constexpr const char *kWeightsFile = "model.safetensors", *kConfigFile = "config.json";

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.size() - kWeight.size());
}

/// The source's name for the first of these names that it holds whole; empty: none.
std::string stored_name(const ModelSource& source, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (const auto found = source.names.find(name); found != source.names.end()) return found->second;
  return "";
}

/// Readers only pack the modules of these classes, although others multiply by a
/// matrix too, e.g. a router.
bool is_linear_module(const Program& program, NodeId node) {
  const CallId call = program.nodes[node].call;
  return call != kNone && program.calls[call].type == "torch.nn.modules.linear.Linear";
}

std::string objection_to(const Program& program, const QuantizedWeight& weight, const PackedFolder& kind) {
  const Layer& layer = weight.layer;
  const Grid& grid = weight.grid;
  for (const std::string& name : layer.kinds)
    if (std::find(kind.layers.begin(), kind.layers.end(), name) == kind.layers.end())
      return fmt::format("is of kind {}, and only {} is packed; exclude it ({})", name,
                         fmt::join(kind.layers, ", "), how_to_exclude());
  for (const NodeId node : layer.nodes)
    if (!is_linear_module(program, node))
      return fmt::format("is no torch.nn.Linear, and its readers unpack nothing else; exclude it ({})",
                         how_to_exclude());
  if (layer.axes.channel != 0 || !layer.axes.stack.empty() || layer.axes.inputs != std::vector<int64_t>{1})
    return fmt::format("its weight is not [out, in]; exclude it ({})", how_to_exclude());
  if (std::find(kind.bits.begin(), kind.bits.end(), grid.bits) == kind.bits.end())
    return fmt::format("has {} bits, expected {}", grid.bits, fmt::join(kind.bits, ", "));
  if (grid.form == lpbq_form())
    return fmt::format("has LPBQ scales, which it has no place for; leave {} out", option("decompressed_bw"));
  if (!grid.is_plain())
    return fmt::format("is {}, which it has no place for; use {}", to_string(grid), option("grid", "int"));
  const at::IntArrayRef sizes = program.state.at(layer.parameters.front()).sizes();
  if (missing_in_last_group(sizes, grid) > 0)
    return fmt::format(
        "has {} inputs, no multiple of {} {}, and its readers know no shorter last group; use {}", sizes[1],
        option("group_size"), grid.group_size, dividing_group_sizes(sizes[1], grid.group_size));
  return "";
}

void check_names(const std::string& format, const ModelSource& source, const std::vector<std::string>& names,
                 Objections& objections) {
  const std::string stored = stored_name(source, names);
  if (stored.empty())
    objections.add("{}: {}: {} does not store it as one tensor; write {}", format, names[0], source.path,
                   option("formats", "hf"));
  else if (!stored.ends_with(kWeight))
    objections.add("{}: {} is no module's weight in {}; write {}", format, stored, source.path,
                   option("formats", "hf"));
  if (names.size() > 1)
    objections.add(
        "{}: {} is tied to {}, and its readers do not tie packed weights; leave it in full precision", format,
        names[0], fmt::join(names.begin() + 1, names.end(), ", "));
}

/// Weights of another run, which a reader might load instead of ours or beside them.
void check_leftovers(const PackedFolder& kind, const std::string& folder, Objections& objections) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool is_ours = std::count(kind.files.begin(), kind.files.end(), name) > 0;
    const bool is_weights = entry.path().extension() == ".safetensors" || name.starts_with("pytorch_model") ||
                            name.ends_with(".index.json") || name == "quantize_config.json";
    if (is_weights && !is_ours)
      objections.add("{}: {}: holds {} of another model; choose another folder", kind.format, folder, name);
  }
}

/// The source's other files, without those that the caller writes itself.
std::vector<std::string> companions_of(const SourceFolder& source, const ExportRequest& request) {
  std::vector<std::string> names = source.companions();
  const std::vector<std::string>& texts = request.options.texts;
  std::erase_if(names, [&](const std::string& name) {
    return std::find(texts.begin(), texts.end(), name) != texts.end();
  });
  return names;
}

bool is_inside(const std::string& folder, const std::string& source) {
  const fs::path relative = fs::weakly_canonical(folder).lexically_relative(fs::weakly_canonical(source));
  return !relative.empty() && *relative.begin() != "..";
}

void check_packed_folder(const PackedFolder& kind, const ExportRequest& request, Objections& objections) {
  const ModelSource& source = request.options.source;
  for (const QuantizedWeight& weight : request.sim.weights())
    if (const std::string why = objection_to(request.sim.program(), weight, kind); !why.empty())
      objections.add("{}: {}: {}", kind.format, weight.layer.name, why);
  for (const FoldedBatchNorm& folded : request.sim.program().folded_batch_norms)
    objections.add("{}: {} was folded, which the folder's own layers do not know; use {}", kind.format,
                   folded.name, option("fold_batch_norms", false));
  if (!fs::is_directory(source.path) || source.names.empty()) {
    objections.add(
        "{}: is the model's own transformers folder with packed weights, and {} is none; "
        "quantize a folder of safetensors",
        kind.format, source.path.empty() ? "what the model came from" : source.path);
    return;
  }
  if (is_inside(request.folder, source.path))
    objections.add("{}: {}: is, or is in, the model's own folder; choose another folder", kind.format,
                   request.folder);
  check_leftovers(kind, request.folder, objections);
  Objections unreadable;
  unreadable.gather([&] {
    const SourceFolder readable(source.path);
    StagedFiles places(request.folder);
    for (const std::string& name : companions_of(readable, request)) places.path(name);
  });
  for (const std::string& text : unreadable.texts()) objections.add("{}: {}", kind.format, text);
  for (const SavedTensor& saved : saved_state(request.sim))
    if (saved.weight != kNone) check_names(kind.format, source, saved.names, objections);
}

}  // namespace

PreparedFormat prepare_packed_folder(const PackedFolder& kind, const ExportRequest& request) {
  Objections objections;
  check_packed_folder(kind, request, objections);
  PreparedFormat prepared{.objections = objections.texts(), .files = kind.files};
  if (!objections.empty()) return prepared;
  const SourceFolder source(request.options.source.path);
  for (const std::string& name : companions_of(source, request)) prepared.files.push_back(name);
  if (!source.other_weights().empty())
    prepared.notes.push_back(fmt::format("{} leaves out the folder's other weights: {}", kind.format,
                                         fmt::join(source.other_weights(), ", ")));
  return prepared;
}

std::vector<PackedLayer> packed_layers(const ExportRequest& request) {
  std::vector<PackedLayer> layers;
  for (const SavedTensor& saved : saved_state(request.sim)) {
    if (saved.weight == kNone) continue;
    PackedLayer layer{saved.weight, module_of(stored_name(request.options.source, saved.names)), {}};
    for (const std::string& name : saved.names) layer.modules.push_back(module_of(name));
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<std::string> unpacked_modules(const ExportRequest& request) {
  std::vector<std::string> modules;
  for (const SavedTensor& saved : saved_state(request.sim))
    for (const std::string& name : saved.names)
      if (saved.weight == kNone && name.ends_with(kWeight) && request.sim.state(name).dim() == 2)
        modules.push_back(module_of(name));
  return modules;
}

namespace {

/// The packed weight that takes the place of the source's tensor; nullptr: the tensor stays.
const PackedLayer* layer_of(const std::string& tensor, const std::vector<PackedLayer>& layers) {
  const auto found = std::find_if(layers.begin(), layers.end(), [&](const PackedLayer& layer) {
    return tensor == layer.stored + std::string(kWeight);
  });
  return found == layers.end() ? nullptr : &*found;
}

std::map<std::string, std::string> metadata_of(const ExportRequest& request) {
  std::map<std::string, std::string> metadata = producer_metadata(request);
  metadata["format"] = "pt";
  return metadata;
}

nlohmann::ordered_json config_of(const SourceFolder& source,
                                 const nlohmann::ordered_json& quantization_config) {
  nlohmann::ordered_json config = source.config();
  config["quantization_config"] = quantization_config;
  return config;
}

void expect_packed(HeldTensors& held, const PackedLayer& layer, const QuantizationSimModel& sim,
                   const Packing& packing) {
  const QuantizedWeight& weight = sim.weights()[layer.weight];
  const at::Tensor expected = sim.dequantized_weight(layer.weight).cpu();
  const LinearCodes linear = packing.unpack(held, layer.stored, weight.grid, expected.sizes());
  expect_finite(held.path(), layer.stored, linear.scale);
  const auto rows = [&](int64_t first, int64_t count) {
    return dequantize(linear.rows(first, count), expected.scalar_type());
  };
  expect_rows(held.path(), layer.stored, rows, expected);
}

/// A layer's packed tensors, of which only one layer's are in memory: they are made when the first of them is written.
/// Layers of one shape and grid have the same tensors: the first is packed to announce them all.
class PackedInTurn {
 public:
  PackedInTurn(const QuantizationSimModel& sim, const Packing& packing) : sim_(sim), packing_(packing) {}

  void announce(const PackedLayer& layer, std::vector<TensorToWrite>& tensors) {
    const std::vector<TensorToWrite>& kinds = kinds_of(layer.weight);
    for (size_t i = 0; i < kinds.size(); ++i)
      tensors.push_back({layer.stored + "." + kinds[i].name, kinds[i].dtype, kinds[i].sizes,
                         [this, weight = layer.weight, i] { return parts_of(weight)[i].tensor; }});
  }

 private:
  const std::vector<TensorToWrite>& kinds_of(int32_t weight) {
    const at::Tensor& parameter = sim_.state(sim_.weights()[weight].layer.parameters.front());
    std::vector<TensorToWrite>& kinds =
        kinds_[fmt::format("{} {} {}", to_string(sim_.weights()[weight].grid),
                           c10::toString(parameter.scalar_type()), fmt::join(parameter.sizes(), " "))];
    if (kinds.empty())
      for (const NamedTensor& part : parts_of(weight))
        kinds.push_back({part.name, part.tensor.scalar_type(), part.tensor.sizes().vec(), {}});
    return kinds;
  }

  const std::vector<NamedTensor>& parts_of(int32_t weight) {
    if (weight != present_) {
      parts_.clear();
      parts_ = packing_.pack(sim_.weight_encoding(weight));
      present_ = weight;
    }
    return parts_;
  }

  const QuantizationSimModel& sim_;
  const Packing& packing_;
  std::map<std::string, std::vector<TensorToWrite>> kinds_;
  int32_t present_ = kNone;
  std::vector<NamedTensor> parts_;
};

}  // namespace

void write_packed_folder(const ExportRequest& request, const nlohmann::ordered_json& quantization_config,
                         const Packing& packing, StagedFiles& files) {
  const SourceFolder source(request.options.source.path);
  const std::vector<PackedLayer> layers = packed_layers(request);
  PackedInTurn packed(request.sim, packing);
  std::vector<TensorToWrite> tensors;
  for (const NamedTensor& named : source.tensors()) {
    const PackedLayer* layer = layer_of(named.name, layers);
    if (layer != nullptr)
      packed.announce(*layer, tensors);
    else
      tensors.push_back({named.name, named.tensor.scalar_type(), named.tensor.sizes().vec(),
                         [tensor = named.tensor] { return tensor; }});
  }
  write_safetensors_in_turn(files.path(kWeightsFile), tensors, metadata_of(request));
  write_json(files.path(kConfigFile), config_of(source, quantization_config));
  for (const std::string& name : companions_of(source, request))
    copy_file((fs::path(source.path()) / name).string(), files.path(name));
}

void read_back_packed_folder(const ExportRequest& request, const nlohmann::ordered_json& quantization_config,
                             const Packing& packing, const StagedFiles& files) {
  const SourceFolder source(request.options.source.path);
  const std::vector<PackedLayer> layers = packed_layers(request);
  const std::string& path = files.aside(kWeightsFile);
  expect_metadata(path, read_safetensors_metadata(path), metadata_of(request));
  HeldTensors held(path, read_safetensors(path, Mapping::kReadOnly));
  for (const NamedTensor& tensor : source.tensors()) {
    const PackedLayer* layer = layer_of(tensor.name, layers);
    if (layer == nullptr)
      held.expect(tensor.name, tensor.tensor);
    else
      expect_packed(held, *layer, request.sim, packing);
  }
  held.expect_no_more();
  expect_json(files.aside(kConfigFile), config_of(source, quantization_config));
  for (const std::string& name : companions_of(source, request))
    expect_copy(files.aside(name), (fs::path(source.path()) / name).string());
}

}  // namespace adascale
