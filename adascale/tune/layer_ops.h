#pragma once
#include <string>
#include <vector>

namespace adascale {

/// What the block rule has to know of an operator.
enum class OpRole {
  kOther,      ///< computes something from its operands
  kWeighted,   ///< linear, convolution, recurrent: a layer when a weight operand is a parameter
  kMatmul,     ///< a layer when exactly one of its two factors is a parameter
  kView,       ///< holds the numbers of its first operand, or some of them: views, casts, indexing
  kShapeOnly,  ///< takes the shape of its operand and none of its numbers
};

struct OpTraits {
  OpRole role = OpRole::kOther;
  std::vector<std::string>
      weights;  ///< names of the operands a weight can stand in, as in the operator's schema
};

/// `op` as Node::op() gives it, "aten::linear"; kOther for all operators not known.
const OpTraits& traits_of(const std::string& op);

}  // namespace adascale
