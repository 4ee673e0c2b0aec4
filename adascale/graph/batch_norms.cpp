#include "adascale/graph/batch_norms.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace adascale {
namespace {

constexpr std::array<std::string_view, 4> kNorms = {"aten::batch_norm", "aten::native_batch_norm",
                                                    "aten::_native_batch_norm_legit",
                                                    "aten::_native_batch_norm_legit_no_training"};
constexpr std::array<std::string_view, 8> kLayers = {
    "aten::linear",           "aten::conv1d",           "aten::conv2d",           "aten::conv3d",
    "aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d", "aten::convolution"};

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, const std::string& op) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

bool is_top(const Node& node) {
  return node.graph_path == "/graph_module/graph";
}

ValueId value_of(const Node& node, const char* operand) {
  const Argument* argument = node.input(operand);
  return argument && argument->kind == Argument::Kind::kValue ? argument->value : kNone;
}

/// "conv1 (conv2d)" or "the model's input".
std::string maker_of(const Program& program, ValueId value) {
  const NodeId producer = program.values[value].producer;
  return producer == kNone ? "the model's input" : program.where(producer);
}

/// Where a tensor's elements begin and end in memory.
std::pair<const char*, const char*> extent_of(const at::Tensor& tensor) {
  int64_t last = 0;
  for (int64_t dim = 0; dim < tensor.dim(); ++dim) last += (tensor.size(dim) - 1) * tensor.stride(dim);
  const auto* begin = static_cast<const char*>(tensor.const_data_ptr());
  return {begin, begin + (last + 1) * static_cast<int64_t>(tensor.element_size())};
}

class Finder {
 public:
  explicit Finder(const Program& program) : program_(program) {}

  BatchNorms find() {
    for (NodeId id = 0; id < static_cast<NodeId>(program_.nodes.size()); ++id) {
      const Node& node = program_.nodes[id];
      if (!is_one_of(kNorms, node.op())) continue;
      const ValueId input = value_of(node, "input");
      const NodeId layer = input == kNone ? kNone : program_.values[input].producer;
      const std::string reason = reason_kept(id, input, layer);
      if (reason.empty())
        found_.foldable.push_back({id, layer});
      else
        found_.kept.push_back({label(node), reason});
    }
    return std::move(found_);
  }

 private:
  std::string label(const Node& node) const {
    return node.call == kNone ? node.name : program_.calls[node.call].label();
  }

  /// Empty when the norm can be folded.
  std::string reason_kept(NodeId norm, ValueId input, NodeId layer) const {
    const Node& node = program_.nodes[norm];
    if (value_of(node, "running_mean") == kNone || value_of(node, "running_var") == kNone)
      return "it has no running statistics and uses the batch's own";
    if (layer == kNone || !is_one_of(kLayers, program_.nodes[layer].op()))
      return fmt::format("it follows {}, which is no convolution or linear", maker_of(program_, input));
    if (!is_top(node) || !is_top(program_.nodes[layer])) return "it lies in a no_grad region";
    const Value& between = program_.values[input];
    if (between.users.size() > 1 || program_.is_output(input))
      return fmt::format("the result of {} is read elsewhere too", program_.where(layer));
    if (const auto reason = reason_of_state(norm); !reason.empty()) return reason;
    return reason_of_layer(norm, layer);
  }

  std::string reason_of_state(NodeId norm) const {
    const Node& node = program_.nodes[norm];
    for (const char* operand : {"weight", "bias", "running_mean", "running_var"}) {
      const ValueId value = value_of(node, operand);
      if (value == kNone) continue;
      if (!is_state(value)) return fmt::format("its {} is computed", operand);
      if (!is_read_only_by(norm, value))
        return fmt::format("{} is read elsewhere too", program_.input_of(value)->name);
    }
    return {};
  }

  std::string reason_of_layer(NodeId norm, NodeId id) const {
    const Node& layer = program_.nodes[id];
    for (const char* operand : {"weight", "bias"}) {
      const ValueId value = value_of(layer, operand);
      if (value == kNone) continue;
      if (!program_.is_parameter(value))
        return fmt::format("the {} of {} is no parameter", operand, program_.where(id));
      if (!is_read_only_by(id, value))
        return fmt::format("{} is read elsewhere too", program_.input_of(value)->name);
    }
    return reason_of_shape(norm, id);
  }

  /// A norm works on dimension 1, which is the layer's channels only where its result has the weight's rank.
  std::string reason_of_shape(NodeId norm, NodeId id) const {
    const Node& layer = program_.nodes[id];
    const at::Tensor& weight = tensor_of(value_of(layer, "weight"));
    const at::Tensor& mean = tensor_of(value_of(program_.nodes[norm], "running_mean"));
    const auto rank = static_cast<int64_t>(program_.values[layer.outputs[0].values[0]].sizes.size());
    const int64_t channels =
        has_transposed_weight(layer) ? weight.size(1) * groups_of(layer) : weight.size(0);
    if (rank == weight.dim() && channels == mean.numel()) return {};
    return fmt::format("dimension 1, which it normalizes, is not the output channels of {}",
                       program_.where(id));
  }

  bool is_state(ValueId value) const {
    const ProgramInput* input = program_.input_of(value);
    return input && input->kind != ProgramInput::Kind::kUser;
  }

  const at::Tensor& tensor_of(ValueId state) const {
    return program_.state.at(program_.input_of(state)->name);
  }

  /// No other node reads the tensor, under this or another name, or a tensor that shares its memory.
  bool is_read_only_by(NodeId node, ValueId state) const {
    const auto [begin, end] = extent_of(tensor_of(state));
    for (const ProgramInput& input : program_.inputs) {
      if (input.kind == ProgramInput::Kind::kUser) continue;
      const auto [other_begin, other_end] = extent_of(program_.state.at(input.name));
      if (input.value != state && (other_begin >= end || begin >= other_end)) continue;
      const auto& users = program_.values[input.value].users;
      const bool elsewhere =
          std::any_of(users.begin(), users.end(), [&](NodeId user) { return user != node; });
      if (elsewhere || program_.is_output(input.value)) return false;
    }
    return true;
  }

  const Program& program_;
  BatchNorms found_;
};

}  // namespace

BatchNorms find_batch_norms(const Program& program) {
  return Finder(program).find();
}

bool has_transposed_weight(const Node& layer) {
  if (layer.op().rfind("aten::conv_transpose", 0) == 0) return true;
  const Argument* transposed = layer.input("transposed");
  return transposed && transposed->literal.isBool() && transposed->literal.toBool();
}

int64_t groups_of(const Node& layer) {
  const Argument* groups = layer.input("groups");
  return groups && groups->literal.isInt() ? groups->literal.toInt() : 1;
}

}  // namespace adascale
