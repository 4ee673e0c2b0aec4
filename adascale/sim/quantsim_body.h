#pragma once
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "adascale/sim/calibration.h"
#include "adascale/sim/quantsim.h"

// Private to sim/: QuantizationSimModel and its friends read it.
namespace adascale {

struct QuantizationSimModel::Body {
  /// A weight's encoding, and the values that take the parameter's place.
  struct Folding {
    int32_t weight;
    Encoding encoding;
    at::Tensor values;
  };

  Program program;
  SimOptions options;
  std::vector<QuantizedWeight> weights;
  Unquantized unquantized;
  std::vector<ActivationQuantizer> activations;
  std::vector<int32_t> weight_by_value, activation_by_value;  // kNone where there is no quantizer
  std::unordered_map<std::string, at::Tensor> folded;         // the present parameters, where they differ
  std::unordered_map<std::string, int32_t> on_demand;         // or the weights that they are dequantized from
  std::unordered_map<std::string, int64_t> versions;  // of each of the program's tensors when last seen
  std::unique_ptr<Interpreter> interpreter;
  std::unique_ptr<Calibration> calibration;
  std::vector<Inputs>* recorded = nullptr;  // a Recorder's, while one lives
  bool calibrated = false;
  std::map<std::string, std::string> training;

  Body(Program program_in, SimOptions options_in);
  void index_weights();
  void index_quantizers();
  void check_versions() const;
  at::Tensor values_of(int32_t weight, const Encoding& encoding) const;
  void put(Folding folding, bool trained);
  Outputs run(const Inputs& inputs, const RunHooks& hooks) const;
  at::Tensor simulate_activation(ValueId value, const at::Tensor& x) const;
};

}  // namespace adascale
