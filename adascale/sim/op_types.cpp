#include "adascale/sim/op_types.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <unordered_map>

#include "adascale/core/words.h"
#include "adascale/sim/layer_kind.h"

namespace adascale {
namespace {

/// ATen operators (without "aten::") of one ONNX type and role. Layers are in a table of their
/// own, layer_kinds().
struct Row {
  const char* onnx_type;
  DataRole role;
  std::vector<const char*> ops;
};

const std::vector<Row>& rows() {
  using enum DataRole;
  static const std::vector<Row> table = {
      {"MatMul", kComputes, {"outer"}},
      {"Attention", kComputes, {"scaled_dot_product_attention"}},

      {"Add", kComputes, {"add"}},
      {"Sub", kComputes, {"sub", "rsub", "subtract"}},
      {"Mul", kComputes, {"mul", "multiply"}},
      {"Div", kComputes, {"div", "divide", "true_divide"}},
      {"Mod", kComputes, {"remainder", "fmod"}},
      {"Pow", kComputes, {"pow", "square"}},
      {"Max", kComputes, {"maximum", "max", "fmax"}},
      {"Min", kComputes, {"minimum", "min", "fmin"}},
      {"Where", kComputes, {"where", "masked_fill"}},
      {"Neg", kComputes, {"neg", "negative"}},
      {"Abs", kComputes, {"abs"}},
      {"Sqrt", kComputes, {"sqrt"}},
      {"Reciprocal", kComputes, {"reciprocal"}},
      {"Exp", kComputes, {"exp"}},
      {"Log", kComputes, {"log"}},
      {"Erf", kComputes, {"erf"}},
      {"Sin", kComputes, {"sin"}},
      {"Cos", kComputes, {"cos"}},
      {"Floor", kComputes, {"floor"}},
      {"Ceil", kComputes, {"ceil"}},
      {"Round", kComputes, {"round"}},
      {"Sign", kComputes, {"sign"}},

      {"Relu", kComputes, {"relu"}},
      {"Clip", kComputes, {"relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "clip"}},
      {"LeakyRelu", kComputes, {"leaky_relu"}},
      {"PRelu", kComputes, {"prelu"}},
      {"Elu", kComputes, {"elu"}},
      {"Selu", kComputes, {"selu"}},
      {"Celu", kComputes, {"celu"}},
      {"Gelu", kComputes, {"gelu"}},
      {"Swish", kComputes, {"silu"}},
      {"Mish", kComputes, {"mish"}},
      {"HardSwish", kComputes, {"hardswish"}},
      {"HardSigmoid", kComputes, {"hardsigmoid"}},
      {"Sigmoid", kComputes, {"sigmoid"}},
      {"Tanh", kComputes, {"tanh"}},
      {"Softplus", kComputes, {"softplus"}},
      {"Softmax", kComputes, {"softmax", "_softmax", "_safe_softmax"}},
      {"LogSoftmax", kComputes, {"log_softmax", "_log_softmax"}},

      {"BatchNormalization", kComputes, {"batch_norm", "_native_batch_norm_legit_no_training"}},
      {"LayerNormalization", kComputes, {"layer_norm", "native_layer_norm"}},
      {"RMSNormalization", kComputes, {"rms_norm", "_fused_rms_norm"}},
      {"GroupNormalization", kComputes, {"group_norm", "native_group_norm"}},
      {"InstanceNormalization", kComputes, {"instance_norm"}},

      {"AveragePool",
       kComputes,
       {"avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
        "adaptive_avg_pool3d"}},
      {"ReduceMean", kComputes, {"mean"}},
      {"ReduceSum", kComputes, {"sum"}},
      {"ReduceProd", kComputes, {"prod"}},
      {"ReduceL2", kComputes, {"norm", "linalg_vector_norm"}},
      {"CumSum", kComputes, {"cumsum"}},
      // Several encodings meet in one result.
      {"Concat", kComputes, {"cat", "concat", "concatenate", "stack", "hstack", "vstack"}},
      {"ScatterElements", kComputes, {"scatter", "scatter_add"}},
      {"ScatterND", kComputes, {"index_put"}},
      {"Resize",
       kComputes,
       {"upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d",
        "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"}},
      {"GridSample", kComputes, {"grid_sampler", "grid_sampler_2d", "grid_sampler_3d"}},

      {"Reshape", kMoves, {"view", "reshape", "view_as", "reshape_as", "_unsafe_view", "unflatten"}},
      {"Flatten", kMoves, {"flatten"}},
      {"Transpose",
       kMoves,
       {"permute", "transpose", "t", "mT", "mH", "numpy_T", "adjoint", "movedim", "swapaxes", "swapdims"}},
      {"Squeeze", kMoves, {"squeeze"}},
      {"Unsqueeze", kMoves, {"unsqueeze"}},
      {"Expand", kMoves, {"expand", "expand_as", "broadcast_to"}},
      {"Tile", kMoves, {"repeat", "tile", "repeat_interleave"}},
      {"Slice", kMoves, {"slice", "narrow", "flip", "roll", "as_strided", "unfold", "diagonal"}},
      {"Gather", kMoves, {"select", "index", "index_select"}},
      {"GatherElements", kMoves, {"gather", "take_along_dim"}},
      {"Compress", kMoves, {"masked_select"}},
      {"Split", kMoves, {"split", "split_with_sizes", "chunk", "tensor_split", "unbind"}},
      {"Pad",
       kMoves,
       {"pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
        "replication_pad1d", "replication_pad2d", "replication_pad3d"}},
      {"Trilu", kMoves, {"tril", "triu"}},
      {"TopK", kMoves, {"topk", "sort"}},
      {"ReduceMax", kMoves, {"amax"}},
      {"ReduceMin", kMoves, {"amin"}},
      {"MaxPool",
       kMoves,
       {"max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices",
        "max_pool3d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"}},
      {"DepthToSpace", kMoves, {"pixel_shuffle"}},
      {"SpaceToDepth", kMoves, {"pixel_unshuffle"}},
      {"ChannelShuffle", kMoves, {"channel_shuffle"}},

      {"Cast", kForwards, {"to", "_to_copy", "type_as"}},
      {"Dropout", kForwards, {"dropout", "feature_dropout", "alpha_dropout"}},
      {"Identity",
       kForwards,
       {"contiguous", "clone", "alias", "detach", "lift_fresh_copy", "copy", "positive"}},

      {"Shape", kShapeOnly, {"sym_size", "sym_stride", "sym_numel", "sym_storage_offset", "size", "numel"}},
      {"ConstantOfShape",
       kShapeOnly,
       {"zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros",
        "new_ones", "new_full", "new_empty"}},
      {"", kShapeOnly, {"_assert_tensor_metadata"}},
      // Counts are no activations: rounded, those of an expert's tokens would cut its group elsewhere.
      {"", kShapeOnly, {"histc"}},
  };
  return table;
}

/// ONNX operators without an ATen operator above that a configuration may still name.
constexpr std::array kOtherOnnxTypes = {"Acos",
                                        "Acosh",
                                        "And",
                                        "ArgMax",
                                        "ArgMin",
                                        "Asin",
                                        "Asinh",
                                        "Atan",
                                        "Atanh",
                                        "BatchToSpace",
                                        "BitShift",
                                        "Col2Im",
                                        "Constant",
                                        "Cosh",
                                        "CropAndResize",
                                        "Det",
                                        "Equal",
                                        "EyeLike",
                                        "GatherND",
                                        "GlobalAveragePool",
                                        "GlobalLpPool",
                                        "GlobalMaxPool",
                                        "Greater",
                                        "GreaterOrEqual",
                                        "Hardmax",
                                        "If",
                                        "IsInf",
                                        "IsNaN",
                                        "LRN",
                                        "Less",
                                        "LessOrEqual",
                                        "Loop",
                                        "LpNormalization",
                                        "LpPool",
                                        "MaxRoiPool",
                                        "MaxUnpool",
                                        "MeanVarianceNormalization",
                                        "NonMaxSuppression",
                                        "NonZero",
                                        "Not",
                                        "OneHot",
                                        "Or",
                                        "Range",
                                        "ReduceL1",
                                        "ReduceLogSum",
                                        "ReduceLogSumExp",
                                        "ReduceSumSquare",
                                        "ReverseSequence",
                                        "RoiAlign",
                                        "RotaryEmbedding",
                                        "Scan",
                                        "Scatter",
                                        "Shrink",
                                        "Sinh",
                                        "Size",
                                        "Softsign",
                                        "SpaceToBatch",
                                        "SplitToSequence",
                                        "Sum",
                                        "Tan",
                                        "ThresholdedRelu",
                                        "Unique",
                                        "Upsample",
                                        "Xor"};

std::unordered_map<std::string, OpType> make_by_op() {
  std::unordered_map<std::string, OpType> types;
  // A lookup's result gets an encoding of its own like a product's: its weight may be in full precision
  // or have a scale per row.
  for (const LayerKind& kind : layer_kinds()) types[kind.op] = {kind.onnx_type, DataRole::kComputes};
  for (const PassedOverOp& layer : passed_over_ops())
    types[layer.op] = {layer.onnx_type, DataRole::kComputes};
  for (const Row& row : rows())
    for (const char* op : row.ops) types[std::string("aten::") + op] = {row.onnx_type, row.role};
  return types;
}

const std::unordered_map<std::string, OpType>& by_op() {
  static const auto map = make_by_op();
  return map;
}

const std::set<std::string>& known_types() {
  static const std::set<std::string> types = [] {
    std::set<std::string> names(kOtherOnnxTypes.begin(), kOtherOnnxTypes.end());
    for (const auto& [op, type] : by_op()) names.insert(type.onnx_type);
    names.erase("");
    return names;
  }();
  return types;
}

}  // namespace

bool is_in_place(const std::string& op) {
  return op.starts_with("aten::") && op.ends_with('_') && !op.ends_with("__");
}

const OpType& op_type_of(const std::string& op) {
  static const OpType unknown;
  const auto row = by_op().find(is_in_place(op) ? op.substr(0, op.size() - 1) : op);
  return row == by_op().end() ? unknown : row->second;
}

bool is_known_op_type(const std::string& onnx_type) {
  return known_types().contains(onnx_type) || canonical_op_type(onnx_type) != onnx_type;
}

std::string canonical_op_type(const std::string& onnx_type) {
  return onnx_type == "Mean" ? "ReduceMean"
                             : onnx_type;  // AIMET's older files; torch graphs have no ONNX Mean
}

std::string suggest_op_type(const std::string& unknown) {
  if (const LayerKind* kind = layer_kind_named(unknown))
    return fmt::format("; a {} is a '{}'", unknown, kind->onnx_type);
  return did_you_mean(unknown, {known_types().begin(), known_types().end()});
}

}  // namespace adascale
