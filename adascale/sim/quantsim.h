#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "adascale/graph/batch_norms.h"
#include "adascale/graph/interpreter.h"
#include "adascale/graph/program.h"
#include "adascale/sim/activation_quantizer.h"
#include "adascale/sim/inputs.h"
#include "adascale/sim/options.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

/// Ends a forward function after its inputs are recorded; not an error.
struct ForwardRecorded {};

/// The number of in-place writes to a tensor; inference tensors do not count them.
int64_t version_of(const at::Tensor& tensor);

/// Which quantizers are active in a run.
enum class SimMode {
  kFloat,        ///< none: the model as given
  kWeightsOnly,  ///< weights; activations pass through
  kSimulate,     ///< weights, and activations that have an encoding
};

/// A model with simulated quantization: weights on their grids, activations through their encodings.
///
/// The weights' ranges are found at construction (they need no data), the activations' by
/// compute_encodings. Runs on the device of the options: inputs are moved to it, outputs stay on
/// it, and tensors elsewhere are moved when they are read. Tensors are shared with the Program
/// given until a layer is folded; then the layer's parameter becomes the dequantized weight, in a
/// new tensor or, with `in_place`, in the program's own.
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
  /// The same in two steps, for a caller that runs the model itself (Python); abort undoes begin.
  void begin_calibration();
  void end_calibration();
  void abort_calibration();
  /// The number of calls since begin.
  int64_t calibration_calls() const;
  /// Whether compute_encodings has succeeded, which leaves quantizers without values off, or every
  /// activation quantizer was loaded or turned off.
  bool is_calibrated() const;

  /// Records instead of running: until stop_recording, calls store copies of their inputs
  /// and throw ForwardRecorded.
  void start_recording();
  size_t recorded_calls() const;
  std::vector<Inputs> stop_recording();

  const std::vector<QuantizedWeight>& weights() const;
  const std::vector<ActivationQuantizer>& activations() const;
  /// Layers that the options or the config leave in full precision.
  const std::vector<Layer>& excluded() const;
  const std::vector<PassedOver>& passed_over() const;
  /// Batch norms that `fold_batch_norms` could not fold; the folded ones are listed in Program.
  const std::vector<KeptBatchNorm>& kept_batch_norms() const;
  /// True if a pattern of a layer_config names a layer, a layer kind or a module of this program.
  bool has_match(const std::string& pattern) const;
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

  /// Decides a layer: keeps the encoding and puts its dequantized values into the parameter.
  void fold(int32_t weight, Encoding encoding, bool trained);
  /// Puts a layer on the grid and scales of a file, rounding the original weight to the nearest
  /// codes, and decides it. `fixed`: no later file replaces it.
  void load_weight(int32_t weight, Encoding encoding, bool fixed);
  /// Gives an activation the bits, symmetry and encoding of a file. `fixed`: compute_encodings and later
  /// files leave them.
  void load_activation(int32_t activation, int bits, bool symmetric, const ActivationEncoding& encoding,
                       bool fixed);
  /// Leaves the activation in full precision, for compute_encodings too.
  void turn_off_activation(int32_t activation, const std::string& reason);
  /// Leaves a layer that is not decided yet in full precision; the indices of later ones change.
  void turn_off_weight(int32_t weight);
  /// The original weight, if it still exists: folding in place overwrites it.
  at::Tensor source_weight(int32_t weight) const;
  /// How apply_adascale, which runs once, trained it: recipe, iterations, seed. Empty: not trained.
  std::map<std::string, std::string> training = {};

  /// The module tree with its quantizers, as print(sim) shows it.
  std::string describe() const;

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace adascale
