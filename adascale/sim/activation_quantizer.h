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

/// The quantizer of one value of the graph; values that only move its data share its encoding by having none.
struct ActivationQuantizer {
  ValueId value = kNone;
  std::string module;  ///< "encoder.layer.0.fc1"; a node's name where no module fits
  std::string port;    ///< "input" (model inputs, named by their first reader) or "output"
  int index = 0;       ///< among the module's inputs or outputs
  int bits = 8;
  bool symmetric = false;
  std::optional<ActivationEncoding> encoding;  ///< set by compute_encodings, or loaded
  std::string off_reason;                      ///< not empty: it was turned off, and why
  bool is_fixed = false;  ///< loaded or turned off to stay: compute_encodings leaves it as it is
};

}  // namespace adascale
