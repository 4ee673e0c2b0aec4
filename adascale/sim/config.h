#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// How a parameter is quantized; unset fields are left to the next wider rule.
struct ParamConfig {
  std::optional<bool> is_quantized, is_symmetric;
};

/// A configuration's settings for one op type or, as the defaults, for all.
struct OpConfig {
  std::optional<bool> is_output_quantized, is_input_quantized, is_symmetric, per_channel;
  std::map<std::string, ParamConfig> params;  ///< "weight", "bias"
};

/// A quantsim configuration in AIMET's JSON format: which quantizers exist and of what kind.
///
/// Op types are ONNX names ("Gemm" is a Linear). A setting that is nowhere set is off: not
/// quantized, asymmetric, per tensor.
struct SimConfig {
  OpConfig defaults;                                  ///< "defaults": its ops and per_channel_quantization
  ParamConfig default_param;                          ///< "defaults".params
  std::map<std::string, ParamConfig> params;          ///< "params": {"bias": {...}}
  std::map<std::string, OpConfig> op_types;           ///< "op_type": {"Gemm": {...}}
  std::vector<std::vector<std::string>> supergroups;  ///< [["Conv", "Relu"], ...]: one quantizer, at the end
  bool quantize_model_input = false;
  bool quantize_model_output = false;  ///< even where the op type has no output quantizer
};

/// Like AIMET's default: params symmetric, per channel where the layer kind has channels;
/// activations asymmetric per tensor on op outputs and model inputs; Conv/Linear/Add + ReLU
/// fused; bias not quantized. A BatchNorm belongs to the layer before it: every runtime
/// folds it into that layer.
const SimConfig& default_sim_config();
/// The JSON that it is parsed from, as an example of the format.
const std::string& default_sim_config_json();

/// Throws Error (user) naming the file, the JSON place, the value found and the expected one; keys
/// and op types unknown to AIMET's format are errors. Settings of the format that this library
/// ignores are named in one logged note.
SimConfig read_sim_config(const std::string& path);
SimConfig parse_sim_config(const std::string& json, const std::string& origin);

/// The settings for an op type: its own entry over the defaults. A Linear is "Gemm" and, where that
/// entry is silent, "MatMul", as in AIMET. An empty type has the defaults.
OpConfig op_config(const SimConfig& config, const std::string& onnx_type);

/// How the config quantizes a layer's weight.
struct WeightRule {
  bool quantized = true, symmetric = true, per_channel = true;
};
WeightRule weight_rule(const SimConfig& config, const std::string& onnx_type);

}  // namespace adascale
