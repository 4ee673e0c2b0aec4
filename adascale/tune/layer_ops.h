#pragma once
#include <string>
#include <vector>

namespace adascale {

/// The block rule's facts about an operator.
enum class OpRole {
  kOther,      ///< computes something from its operands
  kWeighted,   ///< linear, convolution, recurrent: a layer when a weight operand is a parameter
  kMatmul,     ///< a layer when exactly one of its two factors is a parameter
  kView,       ///< holds all or some numbers of its first operand: views, casts, indexing
  kShapeOnly,  ///< uses the shape of its operand but not its numbers
};

struct OpTraits {
  OpRole role = OpRole::kOther;
  /// Names of the operands that may be a weight, as in the operator's schema.
  std::vector<std::string> weights;
};

/// `op` has the form of Node::op(), "aten::linear"; unknown operators are kOther.
const OpTraits& traits_of(const std::string& op);

}  // namespace adascale
