#include "adascale/sim/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <tuple>

#include "adascale/core/error.h"
#include "adascale/graph/dataflow.h"

namespace adascale {
namespace {

/// Operators that multiply by a parameter but have no row in the layer table.
constexpr std::array<std::string_view, 15> kOtherLayerOps = {"aten::matmul",
                                                             "aten::mm",
                                                             "aten::bmm",
                                                             "aten::addmm",
                                                             "aten::baddbmm",
                                                             "aten::einsum",
                                                             "aten::lstm",
                                                             "aten::gru",
                                                             "aten::rnn_tanh",
                                                             "aten::rnn_relu",
                                                             "aten::conv_transpose1d",
                                                             "aten::conv_transpose2d",
                                                             "aten::conv_transpose3d",
                                                             "aten::embedding_bag",
                                                             "aten::bilinear"};

bool is_other_layer_op(const std::string& op) {
  for (const auto name : kOtherLayerOps)
    if (op == name) return true;
  return false;
}

/// The parameter that a value is a view, a cast or a selection of; kNone when it is none of these.
ValueId parameter_behind(const Program& program, const Dataflow& flow, ValueId value) {
  while (true) {
    value = flow.storage_root(value);
    if (program.is_parameter(value)) return value;
    const NodeId producer = program.values[value].producer;
    if (producer == kNone) return kNone;
    const Node& node = program.nodes[producer];
    const std::string op = node.op();
    const bool selects = op == "aten::to" || op == "aten::_to_copy" || op == "aten::index" ||
                         op == "aten::index_select" || op == "aten::contiguous" || op == "aten::reshape" ||
                         op == "aten::clone" || op == "aten::_weight_norm" ||
                         op == "aten::_weight_norm_interface";
    if (!selects || node.reads().empty()) return kNone;
    value = node.reads().front();
  }
}

/// "encoder.fc1.weight" -> "encoder.fc1"; a parameter of another name keeps it.
std::string layer_name(const std::string& parameter) {
  constexpr std::string_view suffix = ".weight";
  if (parameter.size() > suffix.size() && parameter.ends_with(suffix))
    return parameter.substr(0, parameter.size() - suffix.size());
  return parameter;
}

/// Where a tensor lies and how it is read: equal for tied weights, different for two views of one tensor.
using View = std::tuple<const void*, std::vector<int64_t>, std::vector<int64_t>>;

/// Two weights that overlap without being the same could not both be put on their grids.
void check_no_overlap(const Program& program, const std::vector<Layer>& layers) {
  std::map<const char*, const Layer*> by_begin;
  for (const Layer& layer : layers) {
    const auto* begin = static_cast<const char*>(program.state.at(layer.parameters[0]).const_data_ptr());
    const auto [position, is_new] = by_begin.emplace(begin, &layer);
    ADA_CHECK(is_new, "{} and {} are different views of one tensor; clone one of them",
              position->second->parameters[0], layer.parameters[0]);
  }
  const Layer* before = nullptr;
  const char* end = nullptr;
  for (const auto& [begin, layer] : by_begin) {
    ADA_CHECK(before == nullptr || begin >= end,
              "{} and {} are different views of one tensor; clone one of them", before->parameters[0],
              layer->parameters[0]);
    before = layer;
    end = begin + program.state.at(layer->parameters[0]).nbytes();
  }
}

class LayerFinder {
 public:
  explicit LayerFinder(const Program& program) : program_(program), flow_(program) {}

  LayerList find() {
    for (NodeId id = 0; id < static_cast<NodeId>(program_.nodes.size()); ++id) visit(id);
    check_no_overlap(program_, found_.layers);
    return std::move(found_);
  }

 private:
  void visit(NodeId id) {
    const Node& node = program_.nodes[id];
    const std::string op = node.op();
    if (const LayerKind* kind = layer_kind_of_op(op)) {
      const Argument* weight = node.input(kind->weight);
      if (weight == nullptr || weight->kind != Argument::Kind::kValue) return;
      if (program_.is_parameter(weight->value)) return add(id, *kind, weight->value);
      const ValueId behind = parameter_behind(program_, flow_, weight->value);
      if (behind != kNone)
        pass_over(id, fmt::format("its weight is computed from {}, not read as it is",
                                  program_.input_of(behind)->name));
    } else if (is_other_layer_op(op)) {
      for (const ValueId value : node.reads()) {
        const ValueId behind = parameter_behind(program_, flow_, value);
        if (behind == kNone) continue;
        return pass_over(id, fmt::format("{} with parameter {} is no layer kind that adascale quantizes", op,
                                         program_.input_of(behind)->name));
      }
    }
  }

  void add(NodeId id, const LayerKind& kind, ValueId weight) {
    const std::string& name = program_.input_of(weight)->name;
    const at::Tensor& tensor = program_.state.at(name);
    const View view{tensor.const_data_ptr(), tensor.sizes().vec(), tensor.strides().vec()};
    const auto [position, is_new] = by_view_.try_emplace(view, found_.layers.size());
    if (is_new) found_.layers.push_back({layer_name(name), &kind, {}, {}, {}});
    Layer& layer = found_.layers[position->second];
    if (layer.kind->channel_axis < 0) layer.kind = &kind;
    layer.nodes.push_back(id);
    if (std::find(layer.weights.begin(), layer.weights.end(), weight) != layer.weights.end()) return;
    layer.weights.push_back(weight);
    layer.parameters.push_back(name);
  }

  void pass_over(NodeId id, std::string reason) {
    found_.passed_over.push_back({id, program_.where(id), std::move(reason)});
  }

  const Program& program_;
  Dataflow flow_;
  LayerList found_;
  std::map<View, size_t> by_view_;
};

}  // namespace

LayerList find_layers(const Program& program) {
  return LayerFinder(program).find();
}

}  // namespace adascale
