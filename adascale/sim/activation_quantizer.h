#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/quant/range_analyzer.h"

namespace adascale {

/// Per-tensor affine encoding of an activation: x = scale * (code + offset).
struct ActivationEncoding {
  double scale = 1;
  int64_t offset = 0;  ///< <= 0; 0 when symmetric
  double min = 0, max = 0;
};

/// The quantizer of one value of the graph. Values that only move its data share its encoding,
/// as they have no quantizer.
struct ActivationQuantizer {
  ValueId value = kNone;
  std::string module;  ///< "encoder.layer.0.fc1"; a node's name where no module fits
  std::string port;    ///< "input" (model inputs, named after their first reader) or "output"
  int index = 0;       ///< among the module's inputs or outputs
  int bits = 8;
  bool symmetric = false;
  std::optional<ActivationEncoding> encoding;  ///< set by compute_encodings, or loaded
  std::string off_reason;                      ///< if not empty, the reason why it was turned off
  bool is_fixed = false;  ///< loaded, or turned off to stay: compute_encodings does not change it
};

}  // namespace adascale
