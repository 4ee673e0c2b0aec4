#pragma once
#include <string>
#include <vector>

namespace adascale {

/// A kind of layer whose weight can be quantized. One row a kind; the CLI, the docs and the tests walk the
/// table.
struct LayerKind {
  std::string name;       ///< "Linear": what layer_config and reports call it
  std::string op;         ///< "aten::linear"
  std::string weight;     ///< the operator schema's argument that holds the weight
  int64_t channel_axis;   ///< the weight's axis of output channels; -1: per tensor by default (Embedding)
  int64_t input_axis;     ///< the weight's axis of input channels: where groups go
  int64_t channel_dim;    ///< of the layer's input and output, from the end: -1 Linear, -3 Conv2d; 0: none
  bool has_s4;            ///< AdaScale adds s4 along the input axis
  bool trainable;         ///< AdaScale trains it now
  std::string onnx_type;  ///< the op type in AIMET's config files: "Gemm", "Conv", "Gather"
};

const std::vector<LayerKind>& layer_kinds();
/// nullptr when the operator is no layer kind; an overload ("aten::conv2d.padding") counts as its operator.
const LayerKind* layer_kind_of_op(const std::string& op);
/// nullptr when unknown.
const LayerKind* layer_kind_named(const std::string& name);

}  // namespace adascale
