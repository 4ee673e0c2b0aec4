#include "adascale/quant/layer_kind.h"

namespace adascale {

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = {
      {.name = "Linear",
       .op = "aten::linear",
       .weight = "weight",
       .channel_axis = 0,
       .input_axis = 1,
       .channel_dim = -1,
       .has_s4 = false,
       .trainable = true,
       .onnx_type = "Gemm"},
      {.name = "Conv1d",
       .op = "aten::conv1d",
       .weight = "weight",
       .channel_axis = 0,
       .input_axis = 1,
       .channel_dim = -2,
       .has_s4 = true,
       .trainable = false,
       .onnx_type = "Conv"},
      {.name = "Conv2d",
       .op = "aten::conv2d",
       .weight = "weight",
       .channel_axis = 0,
       .input_axis = 1,
       .channel_dim = -3,
       .has_s4 = true,
       .trainable = true,
       .onnx_type = "Conv"},
      {.name = "Conv3d",
       .op = "aten::conv3d",
       .weight = "weight",
       .channel_axis = 0,
       .input_axis = 1,
       .channel_dim = -4,
       .has_s4 = true,
       .trainable = false,
       .onnx_type = "Conv"},
      {.name = "Embedding",
       .op = "aten::embedding",
       .weight = "weight",
       .channel_axis = -1,
       .input_axis = 1,
       .channel_dim = 0,
       .has_s4 = false,
       .trainable = false,
       .onnx_type = "Gather"},
  };
  return kinds;
}

const LayerKind* layer_kind_of_op(const std::string& op) {
  const std::string without_overload = op.substr(0, op.find('.'));
  for (const LayerKind& kind : layer_kinds()) {
    if (kind.op == without_overload) return &kind;
  }
  return nullptr;
}

const LayerKind* layer_kind_named(const std::string& name) {
  for (const LayerKind& kind : layer_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace adascale
