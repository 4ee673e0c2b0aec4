#pragma once
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <vector>

#include "adascale/graph/interpreter.h"

namespace adascale {

/// An argument of an operator, prepared for its schema type: a constant, or the way
/// to build it from values.
class Operand {
 public:
  /// Throws Error when `formal` does not take a value of this form.
  static Operand compile(const Program& program, const Argument& argument, const c10::Argument& formal);
  /// For functions without a schema: literals and values unchanged.
  static Operand plain(const Argument& argument);
  static Operand constant(c10::IValue value);

  c10::IValue get(const Environment& environment) const;

 private:
  enum class Kind { kConstant, kValue, kNumberAsTensor, kNumberAsDouble, kList };
  enum class Element { kInt, kDouble, kBool, kTensor, kOptionalTensor };

  static Operand compile(const Program& program, const Argument& argument, const c10::TypePtr& formal,
                         int64_t repeat);
  /// A device is replaced by the program's.
  static Operand compile_literal(const Program& program, const c10::IValue& literal,
                                 const c10::TypePtr& formal, int64_t repeat);
  static Operand compile_list(const Program& program, const std::vector<Argument>& items,
                              const c10::TypePtr& element);
  c10::IValue get_list(const Environment& environment) const;

  Kind kind_ = Kind::kConstant;
  c10::IValue constant_;
  ValueId value_ = kNone;
  Element element_ = Element::kTensor;
  std::vector<Operand> items_;
};

}  // namespace adascale
