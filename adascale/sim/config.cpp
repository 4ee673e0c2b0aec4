#include "adascale/sim/config.h"

#include "adascale/sim/config_parser.h"
#include "adascale/sim/json_reader.h"

namespace adascale {
namespace {

/// Fills the fields that `into` leaves unset.
template <class T>
void inherit(std::optional<T>& into, const std::optional<T>& wider) {
  if (!into) into = wider;
}

void inherit(ParamConfig& into, const ParamConfig& wider) {
  inherit(into.is_quantized, wider.is_quantized);
  inherit(into.is_symmetric, wider.is_symmetric);
}

void inherit(OpConfig& into, const OpConfig& wider) {
  inherit(into.is_output_quantized, wider.is_output_quantized);
  inherit(into.is_input_quantized, wider.is_input_quantized);
  inherit(into.is_symmetric, wider.is_symmetric);
  inherit(into.per_channel, wider.per_channel);
  for (const auto& [name, param] : wider.params) inherit(into.params[name], param);
}

void inherit_type(OpConfig& into, const SimConfig& config, const std::string& onnx_type) {
  const auto entry = config.op_types.find(onnx_type);
  if (entry != config.op_types.end()) inherit(into, entry->second);
}

}  // namespace

SimConfig read_sim_config(const std::string& path) {
  return parse_sim_config(read_text_file(path, "a quantsim config in AIMET's JSON format"), path);
}

SimConfig parse_sim_config(const std::string& json, const std::string& origin) {
  const OrderedJson document = parse_json(json, origin);
  return ConfigParser(origin).parse(JsonReader(document, origin));
}

OpConfig op_config(const SimConfig& config, const std::string& onnx_type) {
  OpConfig merged;
  inherit_type(merged, config, onnx_type);
  if (onnx_type == "Gemm") inherit_type(merged, config, "MatMul");
  inherit(merged, config.defaults);
  return merged;
}

WeightRule weight_rule(const SimConfig& config, const std::string& onnx_type) {
  const OpConfig op = op_config(config, onnx_type);
  const std::string name = "weight";
  ParamConfig param;
  if (op.params.contains(name)) inherit(param, op.params.at(name));
  if (config.params.contains(name)) inherit(param, config.params.at(name));
  inherit(param, config.default_param);
  return {.quantized = param.is_quantized.value_or(false),
          .symmetric = param.is_symmetric.value_or(false),
          .per_channel = op.per_channel.value_or(false)};
}

}  // namespace adascale
