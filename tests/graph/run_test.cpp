#include <ATen/ATen.h>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

class RunProgram : public ::testing::TestWithParam<std::string> {
 protected:
  Program program_ = load_named(GetParam());
  Tensors record_ = recorded(GetParam());
};

at::Tensor as_tensor(const c10::IValue& output) {
  return output.isTensor() ? output.toTensor() : at::scalar_tensor(output.toScalar(), at::kLong);
}

TEST_P(RunProgram, gives_the_outputs_of_the_module) {
  const auto outputs = run_program(program_, recorded_inputs(program_, record_));
  size_t compared = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto expected = record_.find("output." + std::to_string(i));
    EXPECT_EQ(expected == record_.end(), outputs[i].isNone());
    if (outputs[i].isNone()) continue;
    const at::Tensor output = as_tensor(outputs[i]).detach();
    ASSERT_EQ(output.scalar_type(), expected->second.scalar_type()) << i;
    EXPECT_TRUE(output.sizes() == expected->second.sizes()) << i;
    EXPECT_TRUE(at::allclose(output, expected->second, 0, 1e-6)) << i;
    ++compared;
  }
  EXPECT_GT(compared, 0U);
}

TEST_P(RunProgram, gives_the_gradients_of_the_module) {
  at::Tensor loss = at::zeros({});
  for (const c10::IValue& output : run_program(program_, recorded_inputs(program_, record_))) {
    const bool has_grad = output.isTensor() && output.toTensor().requires_grad();
    if (has_grad) loss = loss + output.toTensor().pow(3).mean();  // the mean square of a norm is constant
  }
  loss.backward();
  size_t compared = 0;
  for (const auto& [key, expected] : record_) {
    if (key.rfind("grad.", 0) != 0) continue;
    const at::Tensor gradient = program_.state.at(key.substr(5)).grad();
    ASSERT_TRUE(gradient.defined()) << key;
    EXPECT_LE((gradient - expected).abs().max().item<double>(), 1e-5 * expected.abs().max().item<double>())
        << key;
    ++compared;
  }
  EXPECT_GT(compared, 0U);
}

TEST_P(RunProgram, leaves_inputs_and_state_as_they_were) {
  const auto inputs = recorded_inputs(program_, record_);
  Tensors before;
  for (const auto& [name, tensor] : program_.state) before[name] = tensor.detach().clone();
  const auto first = run_program(program_, inputs), second = run_program(program_, inputs);
  for (const auto& [name, tensor] : program_.state) EXPECT_TRUE(at::equal(tensor, before[name])) << name;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto given = record_.find("input." + std::to_string(i));
    if (given == record_.end()) continue;
    EXPECT_TRUE(at::equal(inputs[i].toTensor(), given->second)) << i;
  }
  for (size_t i = 0; i < first.size(); ++i) {
    if (!first[i].isTensor()) continue;
    EXPECT_TRUE(at::equal(first[i].toTensor(), second[i].toTensor())) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, RunProgram, ::testing::ValuesIn(program_names()),
                         [](const auto& test) { return test.param; });

TEST(RunPrograms, other_batch_sizes_run_too) {
  const Program program = load_named("llama_dynamic");
  for (int64_t batch : {1, 4}) {
    const auto outputs =
        run_program(program, {at::ones({batch, 7}, at::kLong), at::ones({batch, 7}, at::kLong)});
    EXPECT_TRUE(outputs.at(0).toTensor().sizes() == c10::IntArrayRef({batch, 7, 64}));
  }
}

TEST(RunPrograms, no_gradient_reaches_what_stands_under_no_grad) {
  const Program program = load_named("dict_inputs");
  size_t without = 0;
  for (const Node& node : program.nodes) without += !node.grad_enabled;
  EXPECT_GE(without, 2U);
}

}  // namespace
}  // namespace adascale::testing
