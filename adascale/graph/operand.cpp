#include "adascale/graph/operand.h"

#include <ATen/ops/scalar_tensor.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;

TypePtr without_optional(const TypePtr& type) {
  return type->kind() == TypeKind::OptionalType ? type->castRaw<c10::OptionalType>()->getElementType() : type;
}

/// A number given to a Tensor parameter. It is marked as wrapped, so that it does not take part in
/// type promotion like a tensor of its dtype.
at::Tensor wrapped_number(const IValue& number) {
  const auto dtype = number.isDouble()          ? at::kDouble
                     : number.isBool()          ? at::kBool
                     : number.isComplexDouble() ? at::kComplexDouble
                                                : at::kLong;
  at::Tensor tensor = at::scalar_tensor(number.toScalar(), at::TensorOptions(dtype));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

double as_double(const IValue& number) {
  return number.isDouble() ? number.toDouble() : number.toScalar().toDouble();
}

/// A literal list with the element type of the schema: ints serve as float[], an empty list as any.
IValue convert_list(const IValue& list, const TypePtr& element) {
  if (element->kind() == TypeKind::FloatType && list.isIntList()) {
    c10::List<double> floats;
    for (int64_t number : list.toIntVector()) floats.push_back(static_cast<double>(number));
    return floats;
  }
  const bool is_empty = list.isList() && list.toListRef().empty();
  if (is_empty && element->kind() == TypeKind::TensorType) return c10::List<at::Tensor>();
  if (is_empty && element->kind() == TypeKind::BoolType) return c10::List<bool>();
  return list;
}

template <typename T, typename Convert>
IValue build_list(const std::vector<Operand>& items, const Environment& environment, Convert convert) {
  c10::List<T> list;
  list.reserve(items.size());
  for (const Operand& item : items) list.push_back(convert(item.get(environment)));
  return list;
}

}  // namespace

Operand Operand::constant(IValue value) {
  Operand operand;
  operand.constant_ = std::move(value);
  return operand;
}

Operand Operand::plain(const Argument& argument) {
  ADA_CHECK(argument.kind != Argument::Kind::kList, "a list cannot be an operand of a Python function");
  if (argument.kind == Argument::Kind::kLiteral) return constant(argument.literal);
  Operand operand;
  operand.kind_ = Kind::kValue;
  operand.value_ = argument.value;
  return operand;
}

Operand Operand::compile(const Program& program, const Argument& argument, const c10::Argument& formal) {
  // "int[2] stride" takes one int for both.
  return compile(program, argument, formal.type(), formal.N().value_or(0));
}

Operand Operand::compile(const Program& program, const Argument& argument, const TypePtr& formal,
                         int64_t repeat) {
  const TypePtr type = without_optional(formal);
  if (argument.kind == Argument::Kind::kLiteral)
    return compile_literal(program, argument.literal, type, repeat);
  const bool is_list = type->kind() == TypeKind::ListType;
  const bool is_symbol =
      argument.kind == Argument::Kind::kValue && program.values[argument.value].kind == ValueKind::kSymbol;
  if (is_list && is_symbol && repeat > 0) {
    const std::vector<Argument> items(repeat, argument);
    return compile_list(program, items, type->castRaw<c10::ListType>()->getElementType());
  }
  if (argument.kind == Argument::Kind::kList) {
    ADA_CHECK(is_list, "got a list, expected {}", type->str());
    return compile_list(program, argument.items, type->castRaw<c10::ListType>()->getElementType());
  }
  Operand operand = plain(argument);
  if (is_symbol && type->kind() == TypeKind::TensorType) operand.kind_ = Kind::kNumberAsTensor;
  if (is_symbol && type->kind() == TypeKind::FloatType) operand.kind_ = Kind::kNumberAsDouble;
  return operand;
}

Operand Operand::compile_literal(const Program& program, const IValue& literal, const TypePtr& type,
                                 int64_t repeat) {
  if (literal.isDevice()) return constant(program.device);
  const bool is_number = literal.isScalar();
  if (type->kind() == TypeKind::TensorType && is_number) return constant(wrapped_number(literal));
  if (type->kind() == TypeKind::FloatType && is_number) return constant(as_double(literal));
  if (type->kind() != TypeKind::ListType) return constant(literal);
  const TypePtr element = type->castRaw<c10::ListType>()->getElementType();
  if (literal.isInt() && repeat > 0) return constant(std::vector<int64_t>(repeat, literal.toInt()));
  return constant(convert_list(literal, element));
}

Operand Operand::compile_list(const Program& program, const std::vector<Argument>& items,
                              const TypePtr& element) {
  Operand operand;
  operand.kind_ = Kind::kList;
  switch (element->kind()) {
    case TypeKind::IntType:
      operand.element_ = Element::kInt;
      break;
    case TypeKind::FloatType:
      operand.element_ = Element::kDouble;
      break;
    case TypeKind::BoolType:
      operand.element_ = Element::kBool;
      break;
    case TypeKind::TensorType:
      operand.element_ = Element::kTensor;
      break;
    case TypeKind::OptionalType:
      operand.element_ = Element::kOptionalTensor;
      break;
    default:
      fail("lists of {} are not supported", element->str());
  }
  for (const Argument& item : items) operand.items_.push_back(compile(program, item, element, 0));
  return operand;
}

IValue Operand::get(const Environment& environment) const {
  switch (kind_) {
    case Kind::kConstant:
      return constant_;
    case Kind::kValue:
      return environment.get(value_);
    case Kind::kNumberAsTensor:
      return wrapped_number(environment.get(value_));
    case Kind::kNumberAsDouble:
      return as_double(environment.get(value_));
    case Kind::kList:
      return get_list(environment);
  }
  return {};
}

IValue Operand::get_list(const Environment& environment) const {
  using OptionalTensor = std::optional<at::Tensor>;
  switch (element_) {
    case Element::kInt:
      return build_list<int64_t>(items_, environment, [](const IValue& v) { return v.toInt(); });
    case Element::kDouble:
      return build_list<double>(items_, environment, as_double);
    case Element::kBool:
      return build_list<bool>(items_, environment, [](const IValue& v) { return v.toBool(); });
    case Element::kTensor:
      return build_list<at::Tensor>(items_, environment, [](const IValue& v) { return v.toTensor(); });
    case Element::kOptionalTensor:
      return build_list<OptionalTensor>(items_, environment,
                                        [](const IValue& v) { return v.toOptional<at::Tensor>(); });
  }
  return {};
}

}  // namespace adascale
