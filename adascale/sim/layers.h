#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/sim/layer_kind.h"

namespace adascale {

/// The meaning of a parameter's axes in the layer whose weight it is.
struct WeightAxes {
  int64_t channel = kNone;      ///< output channels
  std::vector<int64_t> stack;   ///< more axes of output channels, outermost first: experts, heads
  std::vector<int64_t> inputs;  ///< input channels, in the operator's order; groups go along the last
  bool operator==(const WeightAxes&) const = default;
};

/// Calls of a layer kind that read one weight. Tied weights are one Layer with several
/// nodes and parameter names.
struct Layer {
  std::string name;  ///< the module's path, "encoder.layer.0.fc1"; a parameter of another name keeps its own
  std::vector<std::string> aliases;  ///< paths of the modules that apply it, where these differ from `name`
  std::vector<std::string> kinds;    ///< names of all its nodes' kinds
  const LayerKind* kind = nullptr;   ///< of the first node; a kind with a scale per channel has priority
  WeightAxes axes;
  std::vector<NodeId> nodes;            ///< execution order
  std::vector<NodeId> alike;            ///< the nodes that read the weight as `kind` and `axes` say
  std::vector<NodeId> views;            ///< between the parameter and the nodes: transposes, slices, casts
  std::vector<ValueId> weights;         ///< the parameter values of the one tensor
  std::vector<std::string> parameters;  ///< their names; files use the first
};

/// A node that multiplies by a parameter in a way unknown to the layer table.
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
