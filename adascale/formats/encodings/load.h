#pragma once
#include <map>
#include <string>
#include <vector>

#include "adascale/sim/parts.h"

namespace adascale {

struct LoadOptions {
  /// True: names that the model does not have, and entries without a quantizer, are errors;
  /// false: they are ignored.
  bool strict = true;
  /// True: quantizers without an entry stay unchanged. False: that is an error or,
  /// not strict, turns them off.
  bool partial = true;
  /// Loaded encodings may be overwritten: activations by compute_encodings, both by another file.
  bool allow_overwrite = true;
  /// Names of the file that differ from the model's -> a parameter, value, model input or module of ours.
  std::map<std::string, std::string> names = {};
};

/// Sets weights and activations from an encodings file of AIMET's or ours: versions 0.6.1, 1.0.0,
/// 2.0.0 and 2.1.0, names of modules or of tensors.
///
/// A weight gets the file's bits, symmetry, granularity and scales, its codes by rounding the
/// original weight, and is decided from then on: compute_encodings and apply_adascale do not
/// change it. An activation gets the file's bits, symmetry, scale and offset. int32 entries of
/// biases are checked and have no effect, as biases are not simulated. Returns the other
/// ignored entries, one per line.
///
/// Throws Error (user) with all objections, and leaves the sim unchanged: missing file, not JSON,
/// numbers that are no encoding, scales that do not fit a weight, unknown names, missing entries,
/// weights that AdaScale trained.
std::vector<std::string> load_encodings(QuantizationSimModel& sim, const std::string& path,
                                        const LoadOptions& options = {});

/// The same from a file's text, which messages call `origin`, for a model in parts: the path of a part
/// precedes names of its own in the file. A whole model: its sim and "".
std::vector<std::string> load_encodings(const std::vector<SimPart>& parts, const std::string& text,
                                        const std::string& origin, const LoadOptions& options);

}  // namespace adascale
