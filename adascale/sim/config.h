#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// What AIMET's quantsim configuration says of one op type or of all.
struct OpConfig {
  std::optional<bool> is_output_quantized, is_input_quantized, is_symmetric, per_channel;
  /// "weight" / "bias" -> quantized, symmetric
  struct Param {
    std::optional<bool> is_quantized, is_symmetric;
  };
  std::map<std::string, Param> params;
};

/// A quantsim configuration in AIMET's JSON format: which quantizers exist and of what kind.
struct SimConfig {
  OpConfig defaults;                                  ///< "defaults": ops and params
  OpConfig::Param default_param;                      ///< "defaults".params
  bool per_channel = true;                            ///< "per_channel_quantization"
  std::map<std::string, OpConfig::Param> params;      ///< "params": {"bias": {...}}
  std::map<std::string, OpConfig> op_types;           ///< "op_type": {"Gemm": {...}}
  std::vector<std::vector<std::string>> supergroups;  ///< [["Conv","Relu"], ...]
  bool quantize_model_input = true, quantize_model_output = false;
};

/// Like AIMET's default: params symmetric, per channel on Conv and Linear; activations asymmetric per tensor on op outputs
/// and model inputs; Conv/Linear/Add + ReLU fused; bias not quantized.
SimConfig default_sim_config();
/// Errors name the file, the JSON path, what was found and what is expected; unknown keys are errors, not ignored.
SimConfig read_sim_config(const std::string& path);
SimConfig parse_sim_config(const std::string& json, const std::string& origin);

/// How a layer's weight is quantized by the config alone.
struct WeightRule {
  bool quantized = true, symmetric = true, per_channel = true;
};
WeightRule weight_rule(const SimConfig& config, const std::string& onnx_type);

}  // namespace adascale
