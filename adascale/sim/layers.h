#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/quant/layer_kind.h"

namespace adascale {

/// Calls of a layer kind that read one weight. Tied weights are one Layer with several nodes and parameter
/// names.
struct Layer {
  std::string name;  ///< the module's path, "encoder.layer.0.fc1"; a root-level parameter's own name
  const LayerKind* kind = nullptr;  ///< of the first node; a row with a channel axis wins over one without
  std::vector<NodeId> nodes;        ///< execution order
  std::vector<ValueId> weights;     ///< the parameter values of the one tensor
  std::vector<std::string> parameters;  ///< their names; the first is what files call it
};

/// A node that multiplies by a parameter, yet is not in the layer table or reads its weight in a way it does
/// not know.
struct PassedOver {
  NodeId node;
  std::string name, reason;
};

struct LayerList {
  std::vector<Layer> layers;  ///< execution order of their first node
  std::vector<PassedOver> passed_over;
};

LayerList find_layers(const Program& program);

}  // namespace adascale
