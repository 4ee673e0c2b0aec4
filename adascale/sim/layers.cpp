#include "adascale/sim/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

#include "adascale/core/error.h"
#include "adascale/sim/weight_axes.h"
#include "adascale/sim/weight_source.h"

namespace adascale {
namespace {

bool is_passed_over(const std::string& op) {
  const auto& ops = passed_over_ops();
  return std::any_of(ops.begin(), ops.end(), [&](const PassedOverOp& known) { return known.op == op; });
}

/// An operand that may be a weight.
struct Candidate {
  const LayerKind* kind;
  size_t position;  ///< in a list of operands
  WeightSource source;
};

/// "encoder.fc1.weight" -> "encoder.fc1"; a parameter of another name is kept whole.
std::string layer_name(const std::string& parameter) {
  constexpr std::string_view suffix = ".weight";
  if (parameter.size() > suffix.size() && parameter.ends_with(suffix))
    return parameter.substr(0, parameter.size() - suffix.size());
  return parameter;
}

/// The place of a tensor and its strides: equal for tied weights, different for two views of one tensor.
using View = std::tuple<const void*, std::vector<int64_t>, std::vector<int64_t>>;

/// Two weights that overlap but differ could not both be put on their grids.
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
  explicit LayerFinder(const Program& program)
      : program_(program), parameter_behind_(parameters_behind(program)) {}

  LayerList find() {
    for (NodeId id = 0; id < static_cast<NodeId>(program_.nodes.size()); ++id) visit(id);
    check_no_overlap(program_, found_.layers);
    return std::move(found_);
  }

 private:
  void visit(NodeId id) {
    const Node& node = program_.nodes[id];
    if (is_passed_over(node.op())) return visit_passed_over(id);
    const std::vector<Candidate> candidates = candidates_of(node);
    // A product of two parameters is part of a weight, not a layer; a recurrent layer has several weights.
    if (candidates.size() > 1 && !candidates.front().kind->is_recurrent)
      return pass_over(id, "it multiplies two parameters");
    for (const Candidate& candidate : candidates) add(id, candidate);
  }

  void visit_passed_over(NodeId id) {
    for (const ValueId value : program_.nodes[id].reads()) {
      if (parameter_behind_[value] == kNone) continue;
      return pass_over(id, fmt::format("{} with parameter {} is no layer kind that adascale quantizes",
                                       program_.nodes[id].op(), name_of(parameter_behind_[value])));
    }
  }

  std::vector<Candidate> candidates_of(const Node& node) const {
    std::vector<Candidate> found;
    const auto consider = [&](const LayerKind* kind, size_t position, const Argument& operand) {
      if (operand.kind != Argument::Kind::kValue) return;
      WeightSource source = weight_source(program_, operand.value);
      const ValueId computed_from = parameter_behind_[operand.value];
      if (source.parameter == kNone && computed_from != kNone)
        source = {.parameter = computed_from,
                  .obstacle = fmt::format("its weight is computed from {}", name_of(computed_from))};
      if (source.parameter != kNone && !is_bias(*kind, source))
        found.push_back({kind, position, std::move(source)});
    };
    for (const LayerKind* kind : layer_kinds_of_op(node.op())) {
      const Argument* operand = node.input(kind->weight);
      if (operand == nullptr) continue;
      consider(kind, 0, *operand);
      for (size_t i = 0; i < operand->items.size(); ++i) consider(kind, i, operand->items[i]);
    }
    return found;
  }

  /// In a recurrent layer's list, which holds both.
  static bool is_bias(const LayerKind& kind, const WeightSource& source) {
    return kind.is_recurrent && source.obstacle.empty() && source.axes.size() < 2;
  }

  void add(NodeId id, const Candidate& candidate) {
    const WeightSource& source = candidate.source;
    if (!source.obstacle.empty()) return pass_over(id, source.obstacle);
    const auto axes = weight_axes(program_.nodes[id], *candidate.kind, candidate.position, source);
    if (!axes)
      return pass_over(id, fmt::format("its input and output channels cannot be told apart in {}",
                                       name_of(source.parameter)));
    Layer& layer = layer_of(source.parameter, *candidate.kind, *axes);
    if (!layer.kind->per_channel && candidate.kind != layer.kind) {
      layer.kind = candidate.kind, layer.axes = *axes;
      layer.alike.clear();
    }
    add_once(layer.nodes, id);
    add_once(layer.kinds, candidate.kind->name);
    const CallId call = program_.nodes[id].call;
    if (call != kNone && !program_.calls[call].path.empty() && program_.calls[call].path != layer.name)
      add_once(layer.aliases, program_.calls[call].path);
    if (layer.kind == candidate.kind && layer.axes == *axes) add_once(layer.alike, id);
    for (const NodeId view : source.views) add_once(layer.views, view);
  }

  /// The layer of that tensor, with all parameters tied to it.
  Layer& layer_of(ValueId parameter, const LayerKind& kind, const WeightAxes& axes) {
    const std::string& name = name_of(parameter);
    const at::Tensor& tensor = program_.state.at(name);
    const View view{tensor.const_data_ptr(), tensor.sizes().vec(), tensor.strides().vec()};
    const auto [position, is_new] = by_view_.try_emplace(view, found_.layers.size());
    if (is_new) found_.layers.push_back({.name = layer_name(name), .kind = &kind, .axes = axes});
    Layer& layer = found_.layers[position->second];
    if (add_once(layer.weights, parameter)) layer.parameters.push_back(name);
    return layer;
  }

  template <class T>
  static bool add_once(std::vector<T>& all, const T& one) {
    if (std::find(all.begin(), all.end(), one) != all.end()) return false;
    all.push_back(one);
    return true;
  }

  const std::string& name_of(ValueId parameter) const { return program_.input_of(parameter)->name; }

  void pass_over(NodeId id, std::string reason) {
    found_.passed_over.push_back({id, program_.where(id), std::move(reason)});
  }

  const Program& program_;
  std::vector<ValueId> parameter_behind_;  // by value
  LayerList found_;
  std::map<View, size_t> by_view_;
};

}  // namespace

LayerList find_layers(const Program& program) {
  return LayerFinder(program).find();
}

}  // namespace adascale
