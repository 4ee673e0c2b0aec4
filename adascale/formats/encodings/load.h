#pragma once
#include <map>
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

struct LoadOptions {
  /// Names that the model does not have, and entries for what has no quantizer, are errors; else passed over.
  bool strict = true;
  /// Quantizers without an entry stay as they are. Otherwise that is an error or, not strict, turns them off.
  bool partial = true;
  /// What is loaded may be overwritten, activations by compute_encodings, both by another file.
  bool allow_overwrite = true;
  /// The file's names, where they are not the model's: to a parameter, value, model input or module of ours.
  std::map<std::string, std::string> names = {};
};

/// Sets weights and activations from an encodings file of AIMET's or ours: versions 0.6.1, 1.0.0, 2.0.0 and
/// 2.1.0, names of modules or of tensors.
///
/// A weight gets the file's bits, symmetry, granularity and scales, its codes by rounding the weight as it
/// came, and is decided from then on: compute_encodings and apply_adascale leave it. An activation gets the
/// file's bits, symmetry, scale and offset. int32 entries of biases are checked and have no effect, as biases
/// are not simulated. Returns what else was passed over, a line each.
///
/// Throws Error (user) with all objections, the sim as before: no such file, no JSON, numbers that are no
/// encoding, scales that do not fit a weight, unknown names, missing entries, weights that AdaScale trained.
std::vector<std::string> load_encodings(QuantizationSimModel& sim, const std::string& path,
                                        const LoadOptions& options = {});

/// A model simulated in parts: each part with the path of its module, which names of its own are behind in
/// the file. One model: its sim and "".
struct EncodingTarget {
  QuantizationSimModel& sim;
  std::string path;
};
/// The same from a file's text; `origin` is what messages call it.
std::vector<std::string> load_encodings(const std::vector<EncodingTarget>& targets, const std::string& text,
                                        const std::string& origin, const LoadOptions& options);

}  // namespace adascale
