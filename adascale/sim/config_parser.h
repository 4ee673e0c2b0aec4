#pragma once
#include <string>
#include <vector>

#include "adascale/sim/config.h"
#include "adascale/sim/json_reader.h"

namespace adascale {

/// Reads AIMET's quantsim configuration and lists its settings that have no effect here.
class ConfigParser {
 public:
  explicit ConfigParser(std::string origin) : origin_(std::move(origin)) {}

  /// Logs one note if a setting has no effect.
  SimConfig parse(const JsonReader& document);

 private:
  void read_defaults(const JsonReader& json, SimConfig& config);
  void read_op_types(const JsonReader& json, SimConfig& config);
  OpConfig read_op_type(const std::string& onnx_type, const JsonReader& json);
  std::map<std::string, ParamConfig> read_params(const JsonReader& json, bool has_weight);
  std::vector<std::vector<std::string>> read_supergroups(const JsonReader& json);
  std::string read_op_type_name(const JsonReader& json);
  void check_op_type_name(const std::string& onnx_type, const JsonReader& json);

  std::string origin_;
  std::vector<std::string> without_effect_;  // places
};

}  // namespace adascale
