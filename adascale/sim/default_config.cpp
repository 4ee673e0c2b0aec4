#include "adascale/sim/config.h"

namespace adascale {

const std::string& default_sim_config_json() {
  static const std::string json = R"({
  "defaults": {
    "ops": {"is_output_quantized": "True"},
    "params": {"is_quantized": "True", "is_symmetric": "True"},
    "per_channel_quantization": "True",
    "strict_symmetric": "False",
    "unsigned_symmetric": "False"
  },
  "params": {
    "bias": {"is_quantized": "False"}
  },
  "op_type": {
    "Cast": {"is_output_quantized": "False"}
  },
  "supergroups": [
    {"op_list": ["Conv", "Relu"]},
    {"op_list": ["Conv", "Clip"]},
    {"op_list": ["Conv", "BatchNormalization"]},
    {"op_list": ["Conv", "BatchNormalization", "Relu"]},
    {"op_list": ["Conv", "BatchNormalization", "Clip"]},
    {"op_list": ["ConvTranspose", "Relu"]},
    {"op_list": ["ConvTranspose", "BatchNormalization"]},
    {"op_list": ["ConvTranspose", "BatchNormalization", "Relu"]},
    {"op_list": ["Gemm", "Relu"]},
    {"op_list": ["Gemm", "BatchNormalization"]},
    {"op_list": ["Gemm", "BatchNormalization", "Relu"]},
    {"op_list": ["Add", "Relu"]}
  ],
  "model_input": {"is_input_quantized": "True"},
  "model_output": {}
})";
  return json;
}

const SimConfig& default_sim_config() {
  static const SimConfig config = parse_sim_config(default_sim_config_json(), "the built-in quantsim config");
  return config;
}

}  // namespace adascale
