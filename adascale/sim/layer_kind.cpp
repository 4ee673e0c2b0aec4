#include "adascale/sim/layer_kind.h"

#include <utility>

namespace adascale {
namespace {

/// The base of the other kinds: weights are [out, in].
LayerKind linear() {
  return {.name = "Linear",
          .op = "aten::linear",
          .weight = "weight",
          .input = "input",
          .channel_axis = 0,
          .input_axis = 1,
          .channel_dim = -1,
          .has_s4 = false,
          .per_channel = true,
          .onnx_type = "Gemm"};
}

LayerKind named(const std::string& name, const std::string& op, const std::string& onnx_type) {
  LayerKind kind = linear();
  kind.name = name;
  kind.op = op;
  kind.onnx_type = onnx_type;
  return kind;
}

/// Weights are [out, in / groups, ...].
LayerKind convolution(const std::string& name, const std::string& op, int64_t channel_dim) {
  LayerKind kind = named(name, op, "Conv");
  kind.channel_dim = channel_dim;
  kind.has_s4 = true;
  return kind;
}

/// Weights are [in, out / groups, ...].
LayerKind transposed_convolution(const std::string& name, const std::string& op, int64_t channel_dim) {
  LayerKind kind = convolution(name, op, channel_dim);
  kind.onnx_type = "ConvTranspose";
  std::swap(kind.channel_axis, kind.input_axis);
  return kind;
}

/// Weights are [rows, features]. One scale for all rows, as AIMET has it.
LayerKind table(const std::string& name, const std::string& op) {
  LayerKind kind = named(name, op, "Gather");
  kind.input = "";
  kind.channel_dim = 0;
  kind.per_channel = false;
  kind.multiplies = false;
  return kind;
}

/// x @ W: W is [..., in, out].
LayerKind product(const std::string& op, const std::string& x, const std::string& weight,
                  const std::string& onnx_type = "MatMul") {
  LayerKind kind = named("MatMul", op, onnx_type);
  kind.weight = weight;
  kind.input = x;
  kind.channel_axis = -1;
  kind.input_axis = -2;
  return kind;
}

/// W @ x: W is [..., out, in].
LayerKind product_from_left(const std::string& op, const std::string& weight, const std::string& x,
                            const std::string& onnx_type = "MatMul") {
  LayerKind kind = product(op, x, weight, onnx_type);
  kind.channel_axis = kind.channel_dim = -2;
  kind.input_axis = -1;
  return kind;
}

/// x1 W x2, one matrix per channel: [out, in1, in2].
LayerKind bilinear() {
  LayerKind kind = named("Bilinear", "aten::bilinear", "Einsum");
  kind.input = "input1";
  return kind;
}

/// The equation says which axes of the weight are inputs.
LayerKind einsum() {
  LayerKind kind = product("aten::einsum", "", "tensors", "Einsum");
  kind.equation = "equation";
  return kind;
}

/// A list of weights [gates x hidden, in] and biases.
LayerKind recurrent(const std::string& name, const std::string& op) {
  LayerKind kind = named(name, op, name);
  kind.weight = "params";
  kind.input = "";
  kind.is_recurrent = true;
  return kind;
}

}  // namespace

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = {
      linear(),
      convolution("Conv1d", "aten::conv1d", -2),
      convolution("Conv2d", "aten::conv2d", -3),
      convolution("Conv3d", "aten::conv3d", -4),
      transposed_convolution("ConvTranspose1d", "aten::conv_transpose1d", -2),
      transposed_convolution("ConvTranspose2d", "aten::conv_transpose2d", -3),
      transposed_convolution("ConvTranspose3d", "aten::conv_transpose3d", -4),
      table("Embedding", "aten::embedding"),
      table("EmbeddingBag", "aten::embedding_bag"),
      product("aten::matmul", "self", "other"),
      product_from_left("aten::matmul", "self", "other"),
      product("aten::mm", "self", "mat2"),
      product_from_left("aten::mm", "self", "mat2"),
      product("aten::bmm", "self", "mat2"),
      product_from_left("aten::bmm", "self", "mat2"),
      product("aten::addmm", "mat1", "mat2", "Gemm"),
      product_from_left("aten::addmm", "mat1", "mat2", "Gemm"),
      product("aten::baddbmm", "batch1", "batch2"),
      product_from_left("aten::baddbmm", "batch1", "batch2"),
      product("aten::_grouped_mm", "self", "mat2"),
      bilinear(),
      einsum(),
      recurrent("LSTM", "aten::lstm"),
      recurrent("GRU", "aten::gru"),
      recurrent("RNN", "aten::rnn_tanh"),
      recurrent("RNN", "aten::rnn_relu"),
  };
  return kinds;
}

std::vector<const LayerKind*> layer_kinds_of_op(const std::string& op) {
  const std::string without_overload = op.substr(0, op.find('.'));
  std::vector<const LayerKind*> found;
  for (const LayerKind& kind : layer_kinds())
    if (kind.op == without_overload) found.push_back(&kind);
  return found;
}

const LayerKind* layer_kind_named(const std::string& name) {
  for (const LayerKind& kind : layer_kinds())
    if (kind.name == name) return &kind;
  return nullptr;
}

const std::vector<PassedOverOp>& passed_over_ops() {
  static const std::vector<PassedOverOp> ops = {
      {"aten::convolution", "weight", "Conv"},
      {"aten::mv", "", "MatMul"},
      {"aten::addmv", "", ""},
      {"aten::addbmm", "", ""},
      {"aten::inner", "", ""},
      {"aten::dot", "", ""},
      {"aten::tensordot", "", ""},
      {"aten::lstm_cell", "", ""},
      {"aten::gru_cell", "", ""},
      {"aten::rnn_tanh_cell", "", ""},
      {"aten::rnn_relu_cell", "", ""},
      {"aten::linalg_multi_dot", "", ""},
  };
  return ops;
}

}  // namespace adascale
