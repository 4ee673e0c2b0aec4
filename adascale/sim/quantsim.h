#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adascale/graph/batch_norms.h"
#include "adascale/graph/interpreter.h"
#include "adascale/graph/program.h"
#include "adascale/sim/activation_quantizer.h"
#include "adascale/sim/inputs.h"
#include "adascale/sim/layers.h"
#include "adascale/sim/options.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

/// Which quantizers are active in a run.
enum class SimMode {
  kFloat,        ///< none: the model as given
  kWeightsOnly,  ///< weights; activations pass through
  kSimulate,     ///< weights, and activations that have an encoding
};

/// What a simulation runs in full precision although it might have been quantized.
struct Unquantized {
  std::vector<Layer> excluded;  ///< by the options, the config, or a file without an entry for it
  /// Products by a parameter that the layer table does not know.
  std::vector<PassedOver> passed_over;
  /// Those that `fold_batch_norms` could not fold; Program lists the others.
  std::vector<KeptBatchNorm> batch_norms;
};

/// A model with simulated quantization: weights on their grids, activations through their encodings.
///
/// The weights' ranges are found at construction (they need no data), the activations' by
/// compute_encodings. Runs on the device of the options: inputs are moved to it, outputs stay on
/// it, and tensors elsewhere are moved when they are read. Tensors are shared with the Program
/// given until a layer is folded; then the layer's parameter becomes the dequantized weight, in a
/// new tensor or, with `in_place`, in the program's own; with `on_demand` it is dequantized at each read.
/// SimEditor decides layers, CalibrationSteps finds activations' encodings for a caller that runs the model
/// itself, Recorder catches inputs.
class QuantizationSimModel {
 public:
  /// Checks everything and throws one Error with all objections: bits, groups, patterns that match nothing,
  /// NaN or infinite weights, dtypes that cannot be quantized, config file.
  QuantizationSimModel(Program program, SimOptions options);
  ~QuantizationSimModel();
  QuantizationSimModel(QuantizationSimModel&&) noexcept;

  const Program& program() const;
  const SimOptions& options() const;

  /// Runs the graph. Throws when a shared weight was changed from outside, or the inputs do not fit.
  Outputs run(const Inputs& inputs, SimMode mode = SimMode::kSimulate) const;
  /// Throws (user) if a tensor shared with the program was edited since the sim was made.
  void check_unchanged() const;
  /// Runs the model; compute_encodings' callback and forward functions call it.
  Outputs operator()(const std::vector<at::Tensor>& tensors);
  Outputs operator()(const std::map<std::string, at::Tensor>& tensors);
  Outputs operator()(const at::Tensor& tensor);
  Outputs call(const Inputs& inputs);

  /// Runs `forward_pass`, which calls the model on representative data, and sets the activations'
  /// encodings from the values seen. A quantizer that got no values is off, and the log names it.
  /// Folds weights not folded yet as round-to-nearest: all are frozen from then on. After an
  /// exception the sim is unchanged; only weights that were folded in place before memory ran out
  /// stay folded.
  void compute_encodings(const std::function<void(QuantizationSimModel&)>& forward_pass);
  /// Whether compute_encodings has succeeded, which leaves quantizers without values off, or every
  /// activation quantizer was loaded or turned off.
  bool is_calibrated() const;

  const std::vector<QuantizedWeight>& weights() const;
  const std::vector<ActivationQuantizer>& activations() const;
  const Unquantized& unquantized() const;
  /// Index into weights() of the parameter value's quantizer, or kNone.
  int32_t weight_of(ValueId parameter) const;

  /// The present parameter, buffer or constant: dequantized once folded, otherwise the program's.
  at::Tensor state(const std::string& name) const;
  /// The tensor that a node reads in that mode.
  at::Tensor load_state(ValueId value, SimMode mode) const;
  /// The round-to-nearest or folded weight on its grid, in the parameter's dtype, on any device.
  at::Tensor dequantized_weight(int32_t weight) const;
  /// Codes of a weight: the folded ones, else round-to-nearest's.
  Encoding weight_encoding(int32_t weight) const;
  /// How apply_adascale, which runs once, trained it: recipe, iterations, seed. Empty: not trained.
  const std::map<std::string, std::string>& training() const;

  /// The module tree with its quantizers, as print(sim) shows it.
  std::string describe() const;

 private:
  friend class CalibrationSteps;
  friend class Recorder;
  friend class SimEditor;
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace adascale
