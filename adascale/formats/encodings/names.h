#pragma once
#include <map>
#include <optional>
#include <string>

#include "adascale/formats/encodings/reader.h"
#include "adascale/sim/quantsim.h"
#include "adascale/sim/units.h"

namespace adascale {

/// What the names of an encodings file mean in a simulation. Refers to it.
class EncodingNames {
 public:
  explicit EncodingNames(const QuantizationSimModel& sim);

  /// The quantizer of a parameter, by any of its names; kNone when it has none, nothing when
  /// there is no such parameter.
  std::optional<int32_t> weight(const std::string& name) const;
  /// The quantizer of the matrix that "fc.weight_0" is the transpose of: so AIMET's ONNX files
  /// (sim.onnx.export) call a Linear's weight that they keep transposed. kNone when it is none.
  int32_t transposed_weight(const std::string& name) const;
  /// The quantizer of an activation; kNone when it has none, nothing when the model has no such thing. Known
  /// are: module, port and index; a value's or a model input's name; a module's path, for its first output;
  /// "/encoder/fc1/Relu_output_0", as torch.onnx called the output of a module before torch.export.
  std::optional<int32_t> activation(const FileEntry& entry) const;
  /// What a misspelt name may have meant: parameters, modules and values.
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
