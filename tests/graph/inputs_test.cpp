#include <ATen/ATen.h>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

std::string objection(const Program& program, const std::vector<c10::IValue>& inputs) {
  return error_of([&] { check_inputs(program, inputs); });
}

TEST(CheckInputs, names_the_inputs_when_the_count_is_wrong) {
  EXPECT_EQ(objection(load_named("mlp"), {}), "got 0 inputs, expected 1: x");
  EXPECT_EQ(objection(load_named("dict_inputs"), {at::ones({3, 4})}),
            "got 1 inputs, expected 5: batch_left, batch_right, flag, power, mode");
}

TEST(CheckInputs, states_dtype_rank_and_fixed_sizes) {
  const Program program = load_named("mlp");
  EXPECT_EQ(objection(program, {at::ones({5, 6}, at::kDouble)}),
            "input 'x': got dtype Double, expected Float");
  EXPECT_EQ(objection(program, {at::ones({5, 6, 1})}), "input 'x': got 3 dimensions, expected 2");
  EXPECT_EQ(objection(program, {at::ones({5, 7})}), "input 'x': size of dimension 1 is 7, expected 6");
  EXPECT_EQ(objection(program, {int64_t{3}}), "input 'x': got 3, expected a tensor");
}

TEST(CheckInputs, reports_all_objections_at_once) {
  EXPECT_EQ(objection(load_named("mlp"), {at::ones({2, 7}, at::kLong)}),
            "input 'x': got dtype Long, expected Float; input 'x': size of dimension 0 is 2, expected 5; "
            "input 'x': size of dimension 1 is 7, expected 6");
}

TEST(CheckInputs, checks_the_range_of_a_symbolic_size) {
  const Program program = load_named("mlp_dynamic");
  check_inputs(program, {at::ones({3, 6})});
  check_inputs(program, {at::ones({16, 6})});
  EXPECT_EQ(objection(program, {at::ones({2, 6})}), "input 'x': size of dimension 0 is 2, expected 3 to 16");
  EXPECT_EQ(objection(program, {at::ones({17, 6})}),
            "input 'x': size of dimension 0 is 17, expected 3 to 16");
}

TEST(CheckInputs, an_unbounded_size_may_be_one_but_not_zero) {
  const Program program = load_named("mlp_strict");
  check_inputs(program, {at::ones({1, 6})});
  EXPECT_EQ(objection(program, {at::ones({0, 6})}),
            "input 'x': size of dimension 0 is 0, expected at least 1");
}

TEST(CheckInputs, the_same_symbol_must_have_one_size) {
  const Program program = load_named("llama_dynamic");
  EXPECT_EQ(objection(program, {at::ones({3, 8}, at::kLong), at::ones({3, 9}, at::kLong)}),
            "input 'attention_mask': size of dimension 1 is 9, expected 8 as dimension 1 of 'input_ids'");
}

TEST(CheckInputs, constants_must_be_those_of_the_export) {
  const Program program = load_named("dict_inputs");
  const at::Tensor x = at::ones({3, 4});
  check_inputs(program, {x, x, true, int64_t{2}, "tanh"});
  EXPECT_EQ(objection(program, {x, x, false, 2.5, "sin"}),
            "input 'flag': got False, expected True, fixed when the model was exported; "
            "input 'power': got 2.5, expected 2, fixed when the model was exported; "
            "input 'mode': got 'sin', expected 'tanh', fixed when the model was exported");
}

/// A program with one input of sizes [s0, `expression`].
Program with_derived_size(const std::string& expression) {
  Program program;
  Value value;
  value.name = "x", value.dtype = at::kFloat;
  value.sizes = {{4, "s0", 1}, {8, expression, 0}};
  program.values = {value};
  ProgramInput input;
  input.name = "x", input.value = 0;
  program.inputs = {input};
  return program;
}

TEST(CheckInputs, derived_sizes_follow_from_their_symbols) {
  const Program twice = with_derived_size("Mul(2, s0)");
  check_inputs(twice, {at::ones({3, 6})});
  EXPECT_EQ(objection(twice, {at::ones({3, 7})}), "input 'x': size of dimension 1 is 7, expected 6");
  const Program sixteens = with_derived_size("Add(Mul(16, s1), 1)");
  check_inputs(sixteens, {at::ones({3, 33})});
  EXPECT_EQ(objection(sixteens, {at::ones({3, 32})}),
            "input 'x': size of dimension 1 is 32, expected the form Add(Mul(16, s1), 1)");
}

}  // namespace
}  // namespace adascale::testing
