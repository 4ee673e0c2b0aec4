#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/quant/layer_kind.h"

namespace adascale {

/// What the axes of a parameter mean to the layer that it is the weight of.
struct WeightAxes {
  int64_t channel = kNone;      ///< output channels
  std::vector<int64_t> stack;   ///< axes of output channels beside it, outermost first: experts, heads
  std::vector<int64_t> inputs;  ///< input channels, in the operator's order; groups go along the last
  bool operator==(const WeightAxes&) const = default;
};

/// Calls of a layer kind that read one weight. Tied weights are one Layer with several
/// nodes and parameter names.
struct Layer {
  std::string name;  ///< the module's path, "encoder.layer.0.fc1"; a parameter of another name keeps its own
  std::vector<std::string> aliases;  ///< paths of the modules that apply it, where they are called otherwise
  std::vector<std::string> kinds;    ///< names of all its nodes' kinds
  const LayerKind* kind = nullptr;   ///< of the first node; one with a scale a channel wins over one without
  WeightAxes axes;
  std::vector<NodeId> nodes;            ///< execution order
  std::vector<NodeId> alike;            ///< those that read the weight as `kind` and `axes` say
  std::vector<NodeId> views;            ///< between the parameter and the nodes: transposes, slices, casts
  std::vector<ValueId> weights;         ///< the parameter values of the one tensor
  std::vector<std::string> parameters;  ///< their names; the first is what files call it
};

/// A node that multiplies by a parameter in a way that the layer table does not know.
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
