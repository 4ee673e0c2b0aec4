#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// A kind of layer whose weight can be quantized: an operator and the operand that holds the
/// weight. One row per kind and operand, which says all that differs from kind to kind: layers are
/// found, blocks and quantizers placed, lists and tests made by walking the table. Negative axes
/// and dims count from the end.
struct LayerKind {
  std::string name;       ///< "Linear": the name in layer_config and reports
  std::string op;         ///< "aten::linear"
  std::string weight;     ///< the operator schema's argument that holds the weight, or a list with weights
  std::string input;      ///< the argument that the weight multiplies; empty: it has no single shape
  int64_t channel_axis;   ///< the weight's axis of output channels
  int64_t input_axis;     ///< the weight's axis of input channels, along which groups go
  int64_t channel_dim;    ///< of the layer's input and output: -1 Linear, -3 Conv2d; 0: none
  bool has_s4;            ///< AdaScale adds s4 along the input axis
  bool per_channel;       ///< a scale for each channel unless the options say otherwise
  std::string onnx_type;  ///< the op type in AIMET's config files: "Gemm", "Conv", "Gather"

  bool multiplies = true;     ///< false: it looks rows up, and is no layer to the block rule
  bool is_recurrent = false;  ///< `weight` is a list: several weights, and biases among them
  std::string equation;       ///< the argument that gives the axes' meaning in their place; empty: none
};

/// An operator that multiplies by a parameter in a way that no row describes: its weight stays in
/// full precision, and the user is told.
struct PassedOverOp {
  std::string op;         ///< "aten::convolution"
  std::string weight;     ///< the argument that makes it a layer to the block rule; empty: it is none
  std::string onnx_type;  ///< as in LayerKind; empty: it has none
};

const std::vector<LayerKind>& layer_kinds();
/// The rows of an operator, one per operand that may be a weight; empty when it is no layer kind.
/// An overload ("aten::conv2d.padding") counts as its operator.
std::vector<const LayerKind*> layer_kinds_of_op(const std::string& op);
/// nullptr when unknown.
const LayerKind* layer_kind_named(const std::string& name);

const std::vector<PassedOverOp>& passed_over_ops();

}  // namespace adascale
