#pragma once
#include <string>
#include <vector>

namespace adascale {

/// The effect of an operator on the numbers it reads, for the placement of quantizers.
enum class DataRole {
  kComputes,   ///< makes new numbers: its result needs an encoding of its own
  kMoves,      ///< its result holds numbers of its first operand (or zeros): the encoding is shared
  kForwards,   ///< moves everything unchanged and vanishes at run time: dropout in eval, contiguous, casts
  kShapeOnly,  ///< reads shapes, dtypes and the like, but no numbers
};

/// The name of an operator in AIMET's configurations: an ONNX op type, "Gemm"; empty when it has none.
struct OpType {
  std::string onnx_type;
  DataRole role = DataRole::kComputes;
};

/// `op` has the form of Node::op(); in-place operators ("aten::relu_") count as their plain ones.
/// An operator outside the table computes and has no type.
const OpType& op_type_of(const std::string& op);

/// True for the in-place form, "aten::relu_".
bool is_in_place(const std::string& op);

/// Whether a configuration may name this type: one of the table, or another operator of ONNX.
bool is_known_op_type(const std::string& onnx_type);
/// Replaces an older spelling ("Mean" -> "ReduceMean"); other names are unchanged.
std::string canonical_op_type(const std::string& onnx_type);
/// "; did you mean ...?" for an unknown type; knows that a Linear is a "Gemm".
std::string suggest_op_type(const std::string& unknown);

}  // namespace adascale
