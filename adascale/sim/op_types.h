#pragma once
#include <string>
#include <vector>

namespace adascale {

/// What an operator does to the numbers it reads, as far as quantizers care.
enum class DataRole {
  kComputes,   ///< makes new numbers: its result needs an encoding of its own
  kMoves,      ///< its result holds numbers of its first operand (or zeros): the encoding is shared
  kForwards,   ///< moves everything unchanged and vanishes at run time: dropout in eval, contiguous, casts
  kShapeOnly,  ///< reads shapes, dtypes and the like, none of the numbers
};

/// What AIMET's configurations call an operator: an ONNX op type, "Gemm"; empty when
/// they have no name for it.
struct OpType {
  std::string onnx_type;
  DataRole role = DataRole::kComputes;
};

/// `op` as Node::op() gives it; in-place operators ("aten::relu_") are their plain ones. An operator that is
/// not in the table computes and has no type.
const OpType& op_type_of(const std::string& op);

/// True for the in-place form, "aten::relu_".
bool is_in_place(const std::string& op);

/// Whether a configuration may name this type: one of the table, or another operator of ONNX.
bool is_known_op_type(const std::string& onnx_type);
/// An older spelling brought up to date ("Mean" -> "ReduceMean"); anything else as it is.
std::string canonical_op_type(const std::string& onnx_type);
/// "; did you mean ...?" for an unknown type; knows that a Linear is a "Gemm".
std::string suggest_op_type(const std::string& unknown);

}  // namespace adascale
