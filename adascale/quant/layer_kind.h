#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// A kind of layer whose weight can be quantized: an operator and the operand that holds the
/// weight. One row per kind and operand; the CLI, the docs and the tests walk the table. Negative
/// axes and dims count from the end.
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
};

const std::vector<LayerKind>& layer_kinds();
/// The rows of an operator, one per operand that may be a weight; empty when it is no layer kind.
/// An overload ("aten::conv2d.padding") counts as its operator.
std::vector<const LayerKind*> layer_kinds_of_op(const std::string& op);
/// nullptr when unknown.
const LayerKind* layer_kind_named(const std::string& name);

}  // namespace adascale
