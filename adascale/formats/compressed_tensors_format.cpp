#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <map>
#include <tuple>

#include "adascale/formats/bit_packing.h"
#include "adascale/formats/linear_codes.h"
#include "adascale/formats/packed_folder.h"

// The layout is compressed-tensors' "pack-quantized" (0.20): codes of 1 to 8 bits, packed densely
// along the rows. In its integer types the lowest code stands for -2^(bits-1), symmetric or not.
// Embeddings are left out: transformers 5.7 does not load packed ones.
namespace adascale {
namespace {

using nlohmann::ordered_json;

const PackedFolder& kind() {
  static const PackedFolder kind{.format = "compressed-tensors",
                                 .layers = {"Linear"},
                                 .bits = {2, 3, 4, 5, 6, 7, 8},
                                 .files = {"model.safetensors", "config.json"}};
  return kind;
}

std::vector<NamedTensor> pack(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  const LinearCodes linear = linear_codes(encoding);
  std::vector<NamedTensor> tensors = {{"weight_packed", pack_bits(linear.codes, grid.bits)},
                                      {"weight_scale", linear.scale.to(grid.scale_dtype)},
                                      {"weight_shape", at::tensor(linear.codes.sizes(), at::kLong)}};
  // Packed down the columns.
  if (!grid.symmetric) tensors.push_back({"weight_zero_point", pack_bits(linear.zero.t(), grid.bits).t()});
  return tensors;
}

LinearCodes unpack(HeldTensors& held, const std::string& module, const Grid& grid, at::IntArrayRef sizes) {
  const int64_t out = sizes[0], in = sizes[1], groups = grid.per_group() ? in / grid.group_size : 1;
  LinearCodes linear;
  const at::Tensor words = held.take(module + ".weight_packed", at::kInt, {out, words_of(in, grid.bits)});
  linear.codes = unpack_bits(words, grid.bits, in);
  linear.scale = held.take(module + ".weight_scale", grid.scale_dtype, {out, groups});
  held.expect(module + ".weight_shape", at::tensor(sizes, at::kLong));
  if (grid.symmetric) {
    linear.zero = at::full({out, groups}, -grid.qmin(), at::kLong);
  } else {
    const at::Tensor zero =
        held.take(module + ".weight_zero_point", at::kInt, {words_of(out, grid.bits), groups});
    linear.zero = unpack_bits(zero.t(), grid.bits, out).t();
  }
  return linear;
}

/// The properties that layers of one group of the config share.
using Scheme = std::tuple<int, bool, int64_t>;

ordered_json scheme_json(const Scheme& scheme, const std::vector<std::string>& targets) {
  const auto& [bits, symmetric, group_size] = scheme;
  ordered_json weights = {{"num_bits", bits},
                          {"type", "int"},
                          {"symmetric", symmetric},
                          {"strategy", group_size > 0 ? "group" : "channel"},
                          {"group_size", group_size > 0 ? ordered_json(group_size) : ordered_json(nullptr)},
                          {"dynamic", false},
                          {"actorder", nullptr},
                          {"block_structure", nullptr}};
  return {{"targets", targets},
          {"weights", weights},
          {"input_activations", nullptr},
          {"output_activations", nullptr}};
}

/// A single scheme is requested by class, which every reader understands; several by module names.
ordered_json config_groups(const ExportRequest& request) {
  std::map<Scheme, std::vector<std::string>> schemes;
  for (const PackedLayer& layer : packed_layers(request)) {
    const QuantizedWeight& weight = request.sim.weights()[layer.weight];
    auto& targets = schemes[{weight.grid.bits, weight.grid.symmetric, weight.grid.group_size}];
    targets.insert(targets.end(), layer.modules.begin(), layer.modules.end());
  }
  if (schemes.size() == 1) schemes.begin()->second = {"Linear"};
  ordered_json groups = ordered_json::object();
  for (const auto& [scheme, targets] : schemes)
    groups["group_" + std::to_string(groups.size())] = scheme_json(scheme, targets);
  return groups;
}

ordered_json quantization_config(const ExportRequest& request) {
  return {{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"},
          {"quantization_status", "compressed"},  {"global_compression_ratio", nullptr},
          {"kv_cache_scheme", nullptr},           {"config_groups", config_groups(request)},
          {"ignore", unpacked_modules(request)}};
}

void write(const ExportRequest& request, StagedFiles& files) {
  write_packed_folder(request, quantization_config(request), {pack, unpack}, files);
}

void read_back(const ExportRequest& request, const StagedFiles& files) {
  read_back_packed_folder(request, quantization_config(request), {pack, unpack}, files);
}

/// Readers load scales in the dtype of the weights.
FittedGrid fit(const Layer&, const at::Tensor& weight, const Grid& asked) {
  FittedGrid fitted{asked};
  fitted.grid.scale_dtype = weight.scalar_type();
  return fitted;
}

}  // namespace

ExportFormat compressed_tensors_format() {
  return {.name = "compressed-tensors",
          .description = "a transformers folder with packed codes, for vLLM, SGLang and transformers",
          .files = kind().files,
          .how_to_load = "vllm serve .  # adascale's tests load such folders without a GPU",
          .weights_as = WeightsAs::kCodes,
          .widths = kind().bits,
          .is_folder = true,
          .holds_signed_scales = true,
          .fit = [](const std::string&) -> FitGrid { return fit; },
          .prepare =
              [](const ExportRequest& request) {
                PreparedFormat prepared = prepare_packed_folder(kind(), request);
                prepared.write = write;
                prepared.read_back = read_back;
                return prepared;
              }};
}

}  // namespace adascale
