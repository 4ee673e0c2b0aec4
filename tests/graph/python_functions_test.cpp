#include <gtest/gtest.h>

#include "adascale/core/error.h"
#include "adascale/graph/operators.h"
#include "adascale/graph/size_expression.h"

namespace adascale::testing {
namespace {

c10::IValue call(const std::string& target, const std::vector<c10::IValue>& operands) {
  const PythonFunction* function = find_python_function(target);
  EXPECT_NE(function, nullptr) << target;
  EXPECT_EQ(function->operands, operands.size()) << target;
  return function->call(operands);
}
int64_t ints(const std::string& target, int64_t a, int64_t b) {
  return call(target, {a, b}).toInt();
}

TEST(PythonFunctions, division_rounds_towards_minus_infinity) {
  EXPECT_EQ(ints("_operator.floordiv", 7, 2), 3);
  EXPECT_EQ(ints("_operator.floordiv", -7, 2), -4);
  EXPECT_EQ(ints("_operator.floordiv", 7, -2), -4);
  EXPECT_EQ(ints("_operator.floordiv", -8, 2), -4);
  EXPECT_EQ(ints("_operator.mod", -7, 3), 2);
  EXPECT_EQ(ints("_operator.mod", 7, -3), -2);
  EXPECT_THROW(ints("_operator.mod", 1, 0), Error);
}

TEST(PythonFunctions, numbers_keep_their_kind) {
  EXPECT_TRUE(call("_operator.add", {int64_t{1}, int64_t{2}}).isInt());
  EXPECT_EQ(call("_operator.mul", {int64_t{3}, 0.5}).toDouble(), 1.5);
  EXPECT_EQ(call("_operator.truediv", {int64_t{1}, int64_t{2}}).toDouble(), 0.5);
  EXPECT_EQ(ints("_operator.pow", 3, 4), 81);
  EXPECT_EQ(call("_operator.pow", {int64_t{2}, int64_t{-1}}).toDouble(), 0.5);
  EXPECT_EQ(call("_operator.neg", {int64_t{5}}).toInt(), -5);
  EXPECT_EQ(call("torch.sym_float", {int64_t{5}}).toDouble(), 5);
  EXPECT_EQ(call("torch.sym_int", {-2.5}).toInt(), -2);
  EXPECT_EQ(call("math.trunc", {2.5}).toInt(), 2);
  EXPECT_EQ(ints("torch.sym_max", 3, 4), 4);
  EXPECT_EQ(ints("torch.sym_min", 3, 4), 3);
}

TEST(PythonFunctions, comparisons_give_bools) {
  EXPECT_TRUE(call("_operator.lt", {int64_t{1}, int64_t{2}}).toBool());
  EXPECT_TRUE(call("_operator.ge", {2.0, int64_t{2}}).toBool());
  EXPECT_FALSE(call("_operator.ne", {int64_t{2}, int64_t{2}}).toBool());
  EXPECT_TRUE(call("torch.sym_not", {false}).toBool());
  EXPECT_TRUE(call("_operator.and_", {true, true}).toBool());
  EXPECT_EQ(call("torch.sym_ite", {true, int64_t{1}, int64_t{2}}).toInt(), 1);
}

TEST(Operators, are_found_by_target) {
  EXPECT_TRUE(find_operator("torch.ops.aten.linear.default"));
  EXPECT_TRUE(find_operator("torch.ops.aten.sym_size.int"));
  EXPECT_TRUE(find_operator("torch.ops.aten._assert_scalar.default"));
  EXPECT_FALSE(find_operator("torch.ops.aten.linear"));
  EXPECT_FALSE(find_operator("torch.ops.mine.nothing.default"));
  EXPECT_FALSE(find_operator("linear"));
  EXPECT_FALSE(is_runnable("_operator.matmul"));
}

TEST(SizeExpressions, shorten_to_names_and_numbers) {
  EXPECT_EQ(shorten_expression("Symbol('s77', positive=True, integer=True)"), "s77");
  EXPECT_EQ(shorten_expression("Add(Mul(Integer(-2), Symbol('s0', integer=True)), Integer(1))"),
            "Add(Mul(-2, s0), 1)");
  EXPECT_EQ(shorten_expression("Symbol('s0)Symbol('s1')"), "s0)Symbol(") << "no text comes twice";
  EXPECT_EQ(symbols_of("Add(Mul(2, s0), s1, s0)"), (std::vector<std::string>{"s0", "s1"}));
}

TEST(SizeExpressions, evaluate_and_solve) {
  EXPECT_EQ(evaluate_expression("Add(Mul(2, s0), -1)", {{"s0", 4}}), 7);
  EXPECT_EQ(evaluate_expression("Mul(2, s0)", {}), std::nullopt);
  EXPECT_EQ(evaluate_expression("FloorDiv(s0, 2)", {{"s0", 4}}), std::nullopt);
  EXPECT_EQ(evaluate_expression("Mul(9000000000000000000, s0)", {{"s0", 4}}), std::nullopt);
  EXPECT_EQ(evaluate_expression("Mul(2, s0", {{"s0", 4}}), std::nullopt);
  std::string deep;
  for (int i = 0; i < 1000000; ++i) deep += "Add(";
  EXPECT_EQ(evaluate_expression(deep, {}), std::nullopt);
  EXPECT_EQ(solve_expression("Mul(16, s0)", {}, "s0", 48), 3);
  EXPECT_EQ(solve_expression("Mul(16, s0)", {}, "s0", 40), std::nullopt);
}

}  // namespace
}  // namespace adascale::testing
