#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The quantizer of an activation that a program holds as a node: x -> scale (clamp(round(x / scale) + zero_point)
/// - zero_point).
struct StoredQuantizer {
  std::string value;   ///< its name in the program
  std::string module;  ///< whose call made the value; empty: none
  int bits = 0;
  double scale = 0, min = 0, max = 0;
};

/// Takes the nodes that quantize activations with fixed numbers out of a program, as in a .pt2 that adascale wrote, and
/// tells them: what is left can be inspected as the model that it was made from. Nodes on weights stay. Execution order.
std::vector<StoredQuantizer> take_out_quantizers(Program& program);

/// A line per quantizer.
std::string describe(const std::vector<StoredQuantizer>& quantizers);

}  // namespace adascale
