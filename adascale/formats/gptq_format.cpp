#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include <algorithm>
#include <map>
#include <regex>
#include <utility>

#include "adascale/core/spelling.h"
#include "adascale/core/version.h"
#include "adascale/formats/bit_packing.h"
#include "adascale/formats/folder_files.h"
#include "adascale/formats/linear_codes.h"
#include "adascale/formats/packed_folder.h"

// AutoGPTQ's layout, which GPTQModel and ExLlama continue: codes packed down the columns
// of [in, out], zero points along their rows. Checkpoints of the first kind ("gptq")
// store zero points minus one.
namespace adascale {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kWordBits = 32;
constexpr const char* kOldConfigFile = "quantize_config.json";  // for readers older than config.json's entry

const PackedFolder& kind() {
  static const PackedFolder kind{.format = "gptq",
                                 .layers = {"Linear"},
                                 .bits = {2, 3, 4, 8},
                                 .files = {"model.safetensors", "config.json", kOldConfigFile}};
  return kind;
}

/// Without a target v1, which is older and more widely read, if it can hold the model.
bool is_v1(const ExportRequest& request) {
  if (!request.target.empty()) return request.target == "v1";
  const auto& weights = request.sim.weights();
  return std::all_of(weights.begin(), weights.end(),
                     [](const auto& weight) { return weight.grid.symmetric; });
}

/// The group of each input.
at::Tensor group_indices(int64_t in, int64_t groups) {
  return at::arange(in, at::kLong).floor_divide(in / groups).to(at::kInt);
}

std::vector<NamedTensor> pack(const Encoding& encoding, bool is_v1) {
  const Grid& grid = encoding.grid;
  const LinearCodes linear = linear_codes(encoding);
  const int64_t in = linear.codes.size(1), groups = linear.scale.size(1);
  return {{"qweight", pack_bits(linear.codes, grid.bits).t()},
          {"qzeros", pack_bits(linear.zero.t() - (is_v1 ? 1 : 0), grid.bits)},
          {"scales", linear.scale.t().to(at::kHalf)},
          {"g_idx", group_indices(in, groups)}};
}

LinearCodes unpack(HeldTensors& held, const std::string& module, const Grid& grid, at::IntArrayRef sizes,
                   bool is_v1) {
  const int64_t out = sizes[0], in = sizes[1], groups = grid.per_group() ? in / grid.group_size : 1;
  const at::Tensor codes = held.take(module + ".qweight", at::kInt, {words_of(in, grid.bits), out});
  const at::Tensor zeros = held.take(module + ".qzeros", at::kInt, {groups, words_of(out, grid.bits)});
  const at::Tensor scales = held.take(module + ".scales", at::kHalf, {groups, out});
  held.expect(module + ".g_idx", group_indices(in, groups));
  return {unpack_bits(codes.t(), grid.bits, in), scales.t(),
          unpack_bits(zeros, grid.bits, out).t().to(at::kLong) + (is_v1 ? 1 : 0)};
}

Packing packing_of(bool is_v1) {
  return {.pack = [is_v1](const Encoding& encoding) { return pack(encoding, is_v1); },
          .unpack = [is_v1](HeldTensors& held, const std::string& module, const Grid& grid,
                            at::IntArrayRef sizes) { return unpack(held, module, grid, sizes, is_v1); }};
}

/// GPTQ's size of a whole row is -1.
int64_t group_size_of(const Grid& grid) {
  return grid.per_group() ? grid.group_size : -1;
}

std::string pattern_of(const std::string& module) {
  static const std::regex special(R"([.^$|()\[\]{}*+?\\])");
  return "^" + std::regex_replace(module, special, R"(\$&)") + "$";
}

using GridByModule = std::map<std::string, ordered_json>;

/// vLLM makes one layer of several, and looks for the rule by its name for that one.
void add_fused(GridByModule& grids) {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> fused = {
      {"qkv_proj", {"q_proj", "k_proj", "v_proj"}}, {"gate_up_proj", {"gate_proj", "up_proj"}}};
  for (const auto& [whole, parts] : fused)
    for (const auto& [module, grid] : GridByModule(grids)) {
      if (!module.ends_with("." + parts.front())) continue;
      const std::string parent = module.substr(0, module.size() - parts.front().size());
      const bool are_alike = std::ranges::all_of(parts, [&](const std::string& part) {
        const auto found = grids.find(parent + part);
        return found != grids.end() && found->second == grid;
      });
      if (are_alike) grids[parent + whole] = grid;
    }
}

/// The differences from the first weight: other grids, and modules left in full precision.
ordered_json exceptions(const ExportRequest& request, const Grid& common) {
  ordered_json dynamic = ordered_json::object();
  for (const std::string& module : unpacked_modules(request))
    dynamic["-:" + pattern_of(module)] = ordered_json::object();
  GridByModule grids;
  for (const PackedLayer& layer : packed_layers(request)) {
    const Grid& grid = request.sim.weights()[layer.weight].grid;
    if (grid.bits == common.bits && grid.symmetric == common.symmetric &&
        group_size_of(grid) == group_size_of(common))
      continue;
    grids[layer.modules.front()] = {
        {"bits", grid.bits}, {"group_size", group_size_of(grid)}, {"sym", grid.symmetric}};
  }
  add_fused(grids);
  for (const auto& [module, grid] : grids) dynamic["+:" + pattern_of(module)] = grid;
  return dynamic;
}

/// Readers only look for a packed output head where the config says so.
bool has_packed_head(const ExportRequest& request) {
  const std::vector<PackedLayer> layers = packed_layers(request);
  return std::any_of(layers.begin(), layers.end(), [](const PackedLayer& layer) {
    return layer.stored == "lm_head" || layer.stored.ends_with(".lm_head");
  });
}

ordered_json quantization_config(const ExportRequest& request) {
  const Grid& common = request.sim.weights().front().grid;
  return {{"quant_method", "gptq"},
          {"bits", common.bits},
          {"group_size", group_size_of(common)},
          {"sym", common.symmetric},
          {"desc_act", false},
          {"true_sequential", true},
          {"lm_head", has_packed_head(request)},
          {"checkpoint_format", is_v1(request) ? "gptq" : "gptq_v2"},
          {"pack_dtype", "int32"},
          {"dynamic", exceptions(request, common)},
          {"meta", {{"quantizer", std::vector<std::string>{std::string("adascale:") + kVersion}}}}};
}

void write(const ExportRequest& request, StagedFiles& files) {
  const ordered_json config = quantization_config(request);
  write_packed_folder(request, config, packing_of(is_v1(request)), files);
  write_json(files.path(kOldConfigFile), config);
}

void read_back(const ExportRequest& request, const StagedFiles& files) {
  const ordered_json config = quantization_config(request);
  read_back_packed_folder(request, config, packing_of(is_v1(request)), files);
  expect_json(files.aside(kOldConfigFile), config);
}

/// What fills no whole words: "30 inputs of 3 bits"; empty: all does, or the format has no such width at all.
std::string partial_words(const at::Tensor& weight, int bits) {
  if (std::ranges::find(kind().bits, bits) == kind().bits.end()) return "";
  for (const int64_t axis : {0, 1})
    if (weight.size(axis) * bits % kWordBits != 0)
      return fmt::format("{} {} of {} bits", weight.size(axis), axis == 0 ? "outputs" : "inputs", bits);
  return "";
}

void check_weights(const ExportRequest& request, Objections& objections) {
  if (request.sim.weights().empty()) objections.add("gptq: no weight is quantized; give the layers bits");
  for (const QuantizedWeight& weight : request.sim.weights()) {
    const std::string& name = weight.layer.name;
    const at::Tensor values = request.sim.program().state.at(weight.layer.parameters.front());
    if (values.dim() != 2) continue;
    if (is_v1(request) && !weight.grid.symmetric)
      objections.add(
          "gptq:v1: {}: an asymmetric grid may have the zero point 0, which v1 cannot hold; "
          "use gptq:v2 or a symmetric grid",
          name);
    const std::string partial = partial_words(values, weight.grid.bits);
    if (!partial.empty())
      objections.add("gptq: {}: its {} fill no whole words of 32 bits; exclude it ({})", name, partial,
                     how_to_exclude());
  }
}

PreparedFormat prepare_gptq(const ExportRequest& request) {
  PreparedFormat prepared = prepare_packed_folder(kind(), request);
  Objections objections;
  check_weights(request, objections);
  prepared.objections.insert(prepared.objections.end(), objections.texts().begin(), objections.texts().end());
  prepared.write = write;
  prepared.read_back = read_back;
  return prepared;
}

/// Scales are float16, whatever the model's dtype. A width that fills no words is none that a layer could choose.
FittedGrid fit(const Layer& layer, const at::Tensor& weight, const Grid& asked) {
  const std::string partial = weight.dim() == 2 ? partial_words(weight, asked.bits) : "";
  ADA_CHECK(partial.empty(), "{}: gptq: its {} fill no whole words of 32 bits; exclude it ({})", layer.name,
            partial, how_to_exclude());
  FittedGrid fitted{asked};
  fitted.grid.scale_dtype = at::kHalf;
  return fitted;
}

}  // namespace

ExportFormat gptq_format() {
  return {.name = "gptq",
          .description = "a transformers folder in GPTQ's layout (gptq:v1, gptq:v2), for vLLM and ExLlama",
          .files = kind().files,
          .how_to_load = "vllm serve .  # vLLM takes gptq of 4 and 8 bits, symmetric",
          .targets = {"v1", "v2"},
          .weights_as = WeightsAs::kCodes,
          .widths = kind().bits,
          .is_folder = true,
          .holds_signed_scales = true,
          .fit = [](const std::string&) -> FitGrid { return fit; },
          .prepare = prepare_gptq};
}

}  // namespace adascale
