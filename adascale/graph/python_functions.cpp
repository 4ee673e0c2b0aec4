#include <cmath>
#include <functional>
#include <unordered_map>

#include "adascale/core/error.h"
#include "adascale/graph/operators.h"

namespace adascale {
namespace {

using c10::IValue;
using Operands = std::vector<IValue>;

double as_double(const IValue& value) {
  return value.isDouble() ? value.toDouble()
         : value.isBool() ? value.toBool()
                          : static_cast<double>(value.toInt());
}
int64_t as_int(const IValue& value) {
  return value.isBool() ? value.toBool() : value.toInt();
}

int64_t floor_divide(int64_t a, int64_t b) {
  ADA_CHECK(b != 0, "integer division by zero in a size computation");
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
int64_t floor_modulo(int64_t a, int64_t b) {
  return a - floor_divide(a, b) * b;
}
double floor_modulo(double a, double b) {
  return a - std::floor(a / b) * b;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent /= 2, base *= base) {
    if (exponent % 2) result *= base;
  }
  return result;
}

int64_t checked_shift(int64_t bits) {
  ADA_CHECK(bits >= 0 && bits < 63, "shift by {} in a size computation, expected 0 to 62", bits);
  return bits;
}

/// Ints and bools are taken as ints; any float makes both floats.
template <typename Op>
IValue arithmetic(const Operands& x, Op op) {
  if (x[0].isDouble() || x[1].isDouble()) return op(as_double(x[0]), as_double(x[1]));
  return op(as_int(x[0]), as_int(x[1]));
}

IValue truncate(const Operands& x) {
  return static_cast<int64_t>(as_double(x[0]));
}

IValue raise_to(const Operands& x) {
  if (!x[0].isDouble() && !x[1].isDouble() && as_int(x[1]) >= 0) return power(as_int(x[0]), as_int(x[1]));
  return std::pow(as_double(x[0]), as_double(x[1]));
}

IValue floor_divide(const Operands& x) {
  if (x[0].isDouble() || x[1].isDouble()) return std::floor(as_double(x[0]) / as_double(x[1]));
  return floor_divide(as_int(x[0]), as_int(x[1]));
}

IValue logical_not(const Operands& x) {
  return !(x[0].isBool() ? x[0].toBool() : as_double(x[0]) != 0);
}

/// `and` and `or` of Python's operator module: bitwise on ints, logical on bools.
template <typename Op>
IValue bitwise(const Operands& x, Op op) {
  const int64_t result = op(as_int(x[0]), as_int(x[1]));
  if (x[0].isBool() && x[1].isBool()) return result != 0;
  return result;
}

const std::unordered_map<std::string, PythonFunction>& table() {
  static const std::unordered_map<std::string, PythonFunction> functions = {
      {"_operator.add", {2, [](const Operands& x) { return arithmetic(x, std::plus<>()); }}},
      {"_operator.sub", {2, [](const Operands& x) { return arithmetic(x, std::minus<>()); }}},
      {"_operator.mul", {2, [](const Operands& x) { return arithmetic(x, std::multiplies<>()); }}},
      {"_operator.mod",
       {2,
        [](const Operands& x) { return arithmetic(x, [](auto a, auto b) { return floor_modulo(a, b); }); }}},
      {"_operator.floordiv", {2, [](const Operands& x) { return floor_divide(x); }}},
      {"_operator.truediv",
       {2, [](const Operands& x) -> IValue { return as_double(x[0]) / as_double(x[1]); }}},
      {"_operator.pow", {2, raise_to}},
      {"_operator.neg",
       {1,
        [](const Operands& x) {
          return arithmetic({int64_t{0}, x[0]}, std::minus<>());
        }}},
      {"_operator.pos", {1, [](const Operands& x) { return x[0]; }}},
      {"_operator.eq", {2, [](const Operands& x) { return arithmetic(x, std::equal_to<>()); }}},
      {"_operator.ne", {2, [](const Operands& x) { return arithmetic(x, std::not_equal_to<>()); }}},
      {"_operator.lt", {2, [](const Operands& x) { return arithmetic(x, std::less<>()); }}},
      {"_operator.le", {2, [](const Operands& x) { return arithmetic(x, std::less_equal<>()); }}},
      {"_operator.gt", {2, [](const Operands& x) { return arithmetic(x, std::greater<>()); }}},
      {"_operator.ge", {2, [](const Operands& x) { return arithmetic(x, std::greater_equal<>()); }}},
      {"_operator.and_", {2, [](const Operands& x) { return bitwise(x, std::bit_and<>()); }}},
      {"_operator.or_", {2, [](const Operands& x) { return bitwise(x, std::bit_or<>()); }}},
      {"_operator.lshift",
       {2, [](const Operands& x) -> IValue { return as_int(x[0]) << checked_shift(as_int(x[1])); }}},
      {"_operator.rshift",
       {2, [](const Operands& x) -> IValue { return as_int(x[0]) >> checked_shift(as_int(x[1])); }}},
      {"math.trunc", {1, truncate}},
      {"math.floor", {1, [](const Operands& x) -> IValue { return int64_t(std::floor(as_double(x[0]))); }}},
      {"math.ceil", {1, [](const Operands& x) -> IValue { return int64_t(std::ceil(as_double(x[0]))); }}},
      {"math.sqrt", {1, [](const Operands& x) -> IValue { return std::sqrt(as_double(x[0])); }}},
      {"torch._sym_sqrt", {1, [](const Operands& x) -> IValue { return std::sqrt(as_double(x[0])); }}},
      {"torch.sym_int", {1, truncate}},
      {"torch.sym_float", {1, [](const Operands& x) -> IValue { return as_double(x[0]); }}},
      {"torch.sym_not", {1, logical_not}},
      {"torch.sym_ite", {3, [](const Operands& x) { return x[0].toBool() ? x[1] : x[2]; }}},
      {"torch.sym_max",
       {2, [](const Operands& x) { return arithmetic(x, [](auto a, auto b) { return std::max(a, b); }); }}},
      {"torch.sym_min",
       {2, [](const Operands& x) { return arithmetic(x, [](auto a, auto b) { return std::min(a, b); }); }}},
  };
  return functions;
}

}  // namespace

const PythonFunction* find_python_function(const std::string& target) {
  const auto found = table().find(target);
  return found == table().end() ? nullptr : &found->second;
}

}  // namespace adascale
