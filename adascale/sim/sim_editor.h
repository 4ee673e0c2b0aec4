#pragma once
#include <map>
#include <string>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// Decides quantizers of a simulation, as training found or a file says. Indices are those of weights() and
/// activations().
class SimEditor {
 public:
  /// `sim` must outlive it.
  explicit SimEditor(QuantizationSimModel& sim);

  /// Decides a layer: keeps the encoding and puts its dequantized values into the parameter, unless they are
  /// made on demand.
  void fold(int32_t weight, Encoding encoding, bool trained);
  /// Replaces a decided layer's encoding by an equal one whose tensors are elsewhere: in a mapped file.
  void move_encoding(int32_t weight, Encoding same);
  void set_training(std::map<std::string, std::string> training);

  /// The original weight. Throws (user) if it is gone: folding in place overwrites it.
  at::Tensor source_weight(int32_t weight) const;
  /// Puts a layer on the grid and scales of a file, with the codes of `encoding`, and decides it.
  /// `fixed`: no later file replaces it.
  void load_weight(int32_t weight, Encoding encoding, bool fixed);
  /// Gives an activation the bits, symmetry and encoding of a file. `fixed`: compute_encodings and later
  /// files leave them.
  void load_activation(int32_t activation, int bits, bool symmetric, const ActivationEncoding& encoding,
                       bool fixed);
  /// Leaves the activation in full precision, for compute_encodings too.
  void turn_off_activation(int32_t activation, const std::string& reason);
  /// Leaves a layer that is not decided yet in full precision; the indices of later ones change.
  void turn_off_weight(int32_t weight);

 private:
  QuantizationSimModel& sim_;
};

}  // namespace adascale
