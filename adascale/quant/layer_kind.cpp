#include "adascale/quant/layer_kind.h"

namespace adascale {
namespace {

/// Weights are [out, in / groups, ...], transposed ones [in, out / groups, ...].
LayerKind convolution(const std::string& name, const std::string& op, int64_t channel_dim, bool transposed) {
  return {.name = name,
          .op = op,
          .weight = "weight",
          .input = "input",
          .channel_axis = transposed ? 1 : 0,
          .input_axis = transposed ? 0 : 1,
          .channel_dim = channel_dim,
          .has_s4 = true,
          .per_channel = true,
          .onnx_type = transposed ? "ConvTranspose" : "Conv"};
}

/// Weights are [rows, features]. One scale for all rows, as AIMET has it.
LayerKind table(const std::string& name, const std::string& op) {
  return {.name = name,
          .op = op,
          .weight = "weight",
          .input = "",
          .channel_axis = 0,
          .input_axis = 1,
          .channel_dim = 0,
          .has_s4 = false,
          .per_channel = false,
          .onnx_type = "Gather"};
}

/// x @ W: W is [..., in, out].
LayerKind product(const std::string& op, const std::string& x, const std::string& weight,
                  const std::string& onnx_type = "MatMul") {
  return {.name = "MatMul",
          .op = op,
          .weight = weight,
          .input = x,
          .channel_axis = -1,
          .input_axis = -2,
          .channel_dim = -1,
          .has_s4 = false,
          .per_channel = true,
          .onnx_type = onnx_type};
}

/// W @ x: W is [..., out, in].
LayerKind product_from_left(const std::string& op, const std::string& weight, const std::string& x,
                            const std::string& onnx_type = "MatMul") {
  LayerKind kind = product(op, x, weight, onnx_type);
  kind.channel_axis = kind.channel_dim = -2;
  kind.input_axis = -1;
  return kind;
}

/// A list of weights [gates x hidden, in] and biases.
LayerKind recurrent(const std::string& name, const std::string& op) {
  return {.name = name,
          .op = op,
          .weight = "params",
          .input = "",
          .channel_axis = 0,
          .input_axis = 1,
          .channel_dim = -1,
          .has_s4 = false,
          .per_channel = true,
          .onnx_type = name};
}

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

/// x1 W x2, a matrix a channel: [out, in1, in2].
LayerKind bilinear() {
  LayerKind kind = linear();
  kind.name = "Bilinear";
  kind.op = "aten::bilinear";
  kind.input = "input1";
  kind.onnx_type = "Einsum";
  return kind;
}

}  // namespace

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = {
      linear(),
      convolution("Conv1d", "aten::conv1d", -2, false),
      convolution("Conv2d", "aten::conv2d", -3, false),
      convolution("Conv3d", "aten::conv3d", -4, false),
      convolution("ConvTranspose1d", "aten::conv_transpose1d", -2, true),
      convolution("ConvTranspose2d", "aten::conv_transpose2d", -3, true),
      convolution("ConvTranspose3d", "aten::conv_transpose3d", -4, true),
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
      bilinear(),
      product("aten::einsum", "", "tensors", "Einsum"),
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

}  // namespace adascale
