#include <ATen/ATen.h>

#include <set>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

struct InterpreterTest : ::testing::Test {
  Program program = load_named("twice");
  std::vector<c10::IValue> inputs = recorded_inputs(program, recorded("twice"));
};

std::vector<ValueId> results_of(const Program& program, const std::vector<NodeId>& nodes) {
  return program.nodes[nodes.back()].writes();
}

TEST_F(InterpreterTest, parts_run_one_after_the_other_give_the_whole) {
  const std::vector<NodeId>& first = program.calls[1].nodes;
  std::vector<NodeId> rest;
  for (NodeId id = first.back() + 1; id < static_cast<NodeId>(program.nodes.size()); ++id) rest.push_back(id);
  const Interpreter one(program, first, results_of(program, first)),
      two(program, rest, results_of(program, rest));
  EXPECT_EQ(one.feeds(), std::vector<ValueId>{program.user_inputs()[0]->value});
  EXPECT_EQ(two.feeds(), one.wanted());
  Environment environment(program);
  feed_inputs(program, inputs, environment);
  one.run(environment);
  two.run(environment);
  EXPECT_TRUE(at::equal(collect_outputs(program, environment).at(0).toTensor(),
                        run_program(program, inputs).at(0).toTensor()));
}

TEST_F(InterpreterTest, only_what_is_fed_and_wanted_stays) {
  const Interpreter interpreter(program);
  Environment environment(program);
  feed_inputs(program, inputs, environment);
  interpreter.run(environment);
  for (ValueId id = 0; id < static_cast<ValueId>(program.values.size()); ++id) {
    EXPECT_EQ(environment.has(id), program.is_user_input(id) || program.is_output(id))
        << program.values[id].name;
  }
}

TEST_F(InterpreterTest, state_is_asked_for_once_and_just_before_its_first_use) {
  std::vector<std::string> events;
  RunHooks hooks;
  hooks.load_state = [&](ValueId id) {
    events.push_back(program.input_of(id)->name);
    return program.state.at(program.input_of(id)->name).detach();
  };
  hooks.transform = [&](ValueId id, const at::Tensor& tensor) {
    events.push_back(program.values[id].name);
    return tensor;
  };
  Environment environment(program);
  feed_inputs(program, inputs, environment);
  Interpreter(program).run(environment, hooks);
  const std::vector<std::string> start = {"block.body.0.weight", "block.body.0.bias", "linear"};
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(std::vector<std::string>(events.begin(), events.begin() + 3), start);
  EXPECT_EQ(std::set<std::string>(events.begin(), events.end()).size(), events.size());
}

TEST_F(InterpreterTest, transform_replaces_inputs_and_results) {
  RunHooks hooks;
  hooks.transform = [](ValueId, const at::Tensor& tensor) { return at::zeros_like(tensor); };
  EXPECT_EQ(run_program(program, inputs, hooks).at(0).toTensor().abs().sum().item<double>(), 0);
}

TEST_F(InterpreterTest, a_failing_operator_is_named_in_one_line) {
  RunHooks hooks;
  hooks.load_state = [&](ValueId id) {
    return at::ones_like(program.state.at(program.input_of(id)->name)).sum(0);
  };
  const std::string text = error_of([&] { run_program(program, inputs, hooks); });
  EXPECT_EQ(text.rfind("block.body.0 (linear, aten::linear): ", 0), 0U) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find("Exception raised from"), std::string::npos);
}

TEST(InterpreterInPlace, a_fed_tensor_is_never_overwritten) {
  const Program program = load_named("in_place");
  const NodeId writer = find_node(program, "relu_"), first = find_node(program, "clone");
  std::vector<NodeId> nodes;
  for (NodeId id = first; id <= writer; ++id) nodes.push_back(id);
  const Interpreter interpreter(program, nodes, program.nodes[writer].writes());
  Environment environment(program);
  for (ValueId feed : interpreter.feeds()) environment.set(feed, at::full({3, 6}, -1.0).select(1, 0).clone());
  const ValueId base = program.nodes[first].reads()[0];
  environment.set(base, at::full({3, 6}, -1.0));
  interpreter.run(environment);
  EXPECT_TRUE(at::equal(environment.tensor(base), at::full({3, 6}, -1.0)));
  EXPECT_TRUE(at::equal(environment.tensor(interpreter.wanted()[0]), at::zeros({3, 6})));

  const Interpreter only_writer(program, {writer}, program.nodes[writer].writes());
  const ValueId fed = only_writer.feeds().at(0);
  const at::Tensor given = at::full({3, 6}, -1.0);
  environment.set(fed, given);
  only_writer.run(environment);
  EXPECT_TRUE(environment.tensor(fed).is_same(given));
  EXPECT_EQ(given.min().item<double>(), -1.0);
}

TEST(InterpreterInPlace, a_tensor_fed_under_two_names_and_overwritten_is_refused) {
  const Program program = load_named("in_place");
  const NodeId writer = find_node(program, "fill_"), reader = find_node(program, "clone");
  std::vector<NodeId> nodes;
  for (NodeId id = writer; id <= reader; ++id) nodes.push_back(id);
  const std::string text = error_of([&] { Interpreter(program, nodes, program.nodes[reader].writes()); });
  EXPECT_NE(text.find("enters this part of the model under two names"), std::string::npos) << text;
}

}  // namespace
}  // namespace adascale::testing
