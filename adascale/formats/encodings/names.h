#pragma once
#include <map>
#include <optional>
#include <string>

#include "adascale/formats/encodings/reader.h"
#include "adascale/sim/quantsim.h"
#include "adascale/sim/units.h"

namespace adascale {

/// The meaning of an encodings file's names in a simulation. Refers to the simulation.
class EncodingNames {
 public:
  explicit EncodingNames(const QuantizationSimModel& sim);

  /// The quantizer of a parameter, by any of its names; kNone when it has none, nothing when
  /// there is no such parameter.
  std::optional<int32_t> weight(const std::string& name) const;
  /// The quantizer of the matrix whose transpose is "fc.weight_0": AIMET's ONNX files
  /// (sim.onnx.export) call a Linear's transposed weight so. kNone when there is none.
  int32_t transposed_weight(const std::string& name) const;
  /// The quantizer of an activation; kNone when it has none, nothing when the model lacks the
  /// activation. Known are: module, port and index; a value's or a model input's name; a module's
  /// path, for its first output; "/encoder/fc1/Relu_output_0", the name that torch.onnx gave a
  /// module's output before torch.export.
  std::optional<int32_t> activation(const FileEntry& entry) const;
  /// The candidates for a misspelt name: parameters, modules and values.
  std::vector<std::string> known_names(const FileEntry& entry) const;

 private:
  std::optional<int32_t> of_value(ValueId value) const;
  std::optional<int32_t> of_module(const std::string& module, const std::string& port, int64_t index) const;
  std::optional<int32_t> of_name(const std::string& name) const;

  const QuantizationSimModel& sim_;
  UnitGraph graph_;
  std::map<std::string, int32_t> weights_;  // kNone: full precision
  std::map<ValueId, int32_t> activations_;
};

}  // namespace adascale
