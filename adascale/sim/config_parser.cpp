#include "adascale/sim/config_parser.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/sim/op_types.h"

namespace adascale {
namespace {

/// Whether a weight of this op type can be quantized here.
bool has_weight(const std::string& onnx_type) {
  const auto& kinds = layer_kinds();
  return onnx_type == "MatMul" ||  // a Linear, in AIMET's second name for it
         std::any_of(kinds.begin(), kinds.end(),
                     [&](const LayerKind& kind) { return kind.onnx_type == onnx_type; });
}

ParamConfig read_param(const JsonReader& json) {
  ParamConfig param;
  for (const auto& [key, value] : json.members({"is_quantized", "is_symmetric"}))
    (key == "is_quantized" ? param.is_quantized : param.is_symmetric) = value.boolean_text();
  return param;
}

OpConfig read_default_ops(const JsonReader& json) {
  OpConfig ops;
  for (const auto& [key, value] :
       json.members({"is_output_quantized", "is_input_quantized", "is_symmetric"})) {
    if (key == "is_output_quantized") ops.is_output_quantized = value.boolean_text();
    if (key == "is_input_quantized") ops.is_input_quantized = value.boolean_text();
    if (key == "is_symmetric") ops.is_symmetric = value.boolean_text();
  }
  return ops;
}

/// "model_input" and "model_output": one key each.
bool read_model_edge(const JsonReader& json, const std::string& name) {
  const auto members = json.members({name});
  return !members.empty() && members.front().second.boolean_text();
}

void check_kernel_side(const JsonReader& json) {
  json.require("bitwidth");
  json.require("dtype");
  for (const auto& [key, value] : json.members({"bitwidth", "dtype"}))
    key == "dtype" ? void(value.text()) : void(value.integer());
}

void check_supported_kernels(const JsonReader& json) {
  for (const JsonReader& kernel : json.items()) {
    kernel.require("activation");
    for (const auto& [side, value] : kernel.members({"activation", "param"})) check_kernel_side(value);
  }
}

void check_constraints(const JsonReader& json) {
  json.require("min");
  for (const auto& [key, value] : json.members({"min", "max"})) value.number();
}

}  // namespace

SimConfig ConfigParser::parse(const JsonReader& document) {
  for (const char* section : {"defaults", "params", "op_type", "supergroups", "model_input", "model_output"})
    document.require(section);
  SimConfig config;
  for (const auto& [key, value] : document.members({"defaults", "params", "op_type", "supergroups",
                                                    "supergroup_pass_list", "model_input", "model_output"})) {
    if (key == "defaults") read_defaults(value, config);
    if (key == "params") config.params = read_params(value, true);
    if (key == "op_type") read_op_types(value, config);
    if (key == "supergroups") config.supergroups = read_supergroups(value);
    if (key == "supergroup_pass_list") {
      for (const JsonReader& pass : value.items()) pass.text();
      without_effect_.push_back(value.place());
    }
    if (key == "model_input") config.quantize_model_input = read_model_edge(value, "is_input_quantized");
    if (key == "model_output") config.quantize_model_output = read_model_edge(value, "is_output_quantized");
  }
  if (!without_effect_.empty())
    log_line(fmt::format("{}: part of AIMET's format, but without effect here: {}", origin_,
                         fmt::join(without_effect_, ", ")));
  return config;
}

void ConfigParser::read_defaults(const JsonReader& json, SimConfig& config) {
  json.require("ops");
  json.require("params");
  std::optional<bool> per_channel;
  for (const auto& [key, value] :
       json.members({"ops", "params", "per_channel_quantization", "strict_symmetric", "unsigned_symmetric",
                     "supported_kernels", "hw_version"})) {
    if (key == "ops") config.defaults = read_default_ops(value);
    if (key == "params") config.default_param = read_param(value);
    if (key == "per_channel_quantization") per_channel = value.boolean_text();
    if (key == "hw_version") value.text();
    if (key == "supported_kernels") check_supported_kernels(value);
    // Symmetric grids here are always -2^(b-1) .. 2^(b-1) - 1, as "False" requests.
    const bool asks_other_grid = key.ends_with("symmetric") && value.boolean_text();
    if (key == "hw_version" || key == "supported_kernels" || asks_other_grid)
      without_effect_.push_back(value.place());
  }
  config.defaults.per_channel = per_channel;
}

void ConfigParser::read_op_types(const JsonReader& json, SimConfig& config) {
  for (const auto& [name, value] : json.members()) {
    check_op_type_name(name, value);
    const std::string onnx_type = canonical_op_type(name);
    const bool is_new = config.op_types.emplace(onnx_type, read_op_type(onnx_type, value)).second;
    ADA_CHECK(is_new, "{}: another name of {}, which has an entry already; keep one", value.where(),
              onnx_type);
  }
}

OpConfig ConfigParser::read_op_type(const std::string& onnx_type, const JsonReader& json) {
  OpConfig op;
  for (const auto& [key, value] :
       json.members({"is_output_quantized", "is_input_quantized", "is_symmetric", "per_channel_quantization",
                     "params", "supported_kernels", "encoding_constraints"})) {
    if (key == "is_output_quantized") op.is_output_quantized = value.boolean_text();
    if (key == "is_input_quantized") op.is_input_quantized = value.boolean_text();
    if (key == "is_symmetric") op.is_symmetric = value.boolean_text();
    if (key == "per_channel_quantization") op.per_channel = value.boolean_text();
    if (key == "params") op.params = read_params(value, has_weight(onnx_type));
    if (key == "supported_kernels") check_supported_kernels(value);
    if (key == "encoding_constraints") check_constraints(value);
    const bool no_weight =
        key == "per_channel_quantization" && value.boolean_text() && !has_weight(onnx_type);
    if (key == "supported_kernels" || key == "encoding_constraints" || no_weight)
      without_effect_.push_back(value.place());
  }
  return op;
}

std::map<std::string, ParamConfig> ConfigParser::read_params(const JsonReader& json, bool has_weight) {
  std::map<std::string, ParamConfig> params;
  for (const auto& [name, value] : json.members()) {
    params[name] = read_param(value);
    // Only weights of the layer kinds are quantized, so "not quantized" is always followed.
    const bool stays_off = params[name].is_quantized == std::optional(false);
    if (!stays_off && !(name == "weight" && has_weight)) without_effect_.push_back(value.place());
  }
  return params;
}

std::vector<std::vector<std::string>> ConfigParser::read_supergroups(const JsonReader& json) {
  std::vector<std::vector<std::string>> groups;
  for (const JsonReader& item : json.items()) {
    item.require("op_list");
    const JsonReader list = item.members({"op_list"}).front().second;
    std::vector<std::string> ops;
    for (const JsonReader& op : list.items()) ops.push_back(read_op_type_name(op));
    ADA_CHECK(ops.size() >= 2, "{}: got {} op types, expected two or more to fuse", list.where(), ops.size());
    groups.push_back(std::move(ops));
  }
  return groups;
}

std::string ConfigParser::read_op_type_name(const JsonReader& json) {
  check_op_type_name(json.text(), json);
  return canonical_op_type(json.text());
}

void ConfigParser::check_op_type_name(const std::string& onnx_type, const JsonReader& json) {
  ADA_CHECK(is_known_op_type(onnx_type),
            "{}: unknown op type '{}', expected an ONNX name such as Gemm, Conv or Add{}", json.where(),
            first_line(onnx_type), suggest_op_type(onnx_type));
}

}  // namespace adascale
