#include <algorithm>

#include "graph/programs.h"

namespace adascale::testing {
namespace {

std::vector<std::string> labels(const Program& program) {
  std::vector<std::string> all;
  for (const ModuleCall& call : program.calls) all.push_back(call.label());
  return all;
}

TEST(ProgramCalls, a_second_call_of_a_module_is_a_call_of_its_own) {
  for (const char* name : {"twice", "twice_strict"}) {
    const Program program = load_named(name);
    const std::vector<std::string> expected = {
        "(root)", "block",   "block.body",   "block.body.0",   "block.body.1",   "block.body.2",
        "back",   "block@1", "block.body@1", "block.body.0@1", "block.body.1@1", "block.body.2@1"};
    EXPECT_EQ(labels(program), expected) << name;
    EXPECT_EQ(program.calls[0].nodes.size(), program.nodes.size());
    EXPECT_EQ(program.calls[1].nodes, (std::vector<NodeId>{0, 1, 2}));
    EXPECT_EQ(program.calls[1].children, (std::vector<CallId>{2}));
    EXPECT_EQ(program.calls[7].parent, 0);
    EXPECT_NE(program.calls[3].type.find("Linear"), std::string::npos);
  }
}

TEST(ProgramNodes, name_their_place_operator_and_source) {
  const Program program = load_named("mlp");
  EXPECT_EQ(program.where(0), "body.0 (linear)");
  EXPECT_EQ(program.nodes[0].op(), "aten::linear");
  EXPECT_EQ(program.nodes[0].source.rfind("make_programs.py:", 0), 0U) << program.nodes[0].source;
  ASSERT_NE(program.nodes[0].input("weight"), nullptr);
  EXPECT_EQ(program.nodes[0].input("no_such"), nullptr);
  const ValueId weight = program.nodes[0].input("weight")->value;
  EXPECT_TRUE(program.is_parameter(weight));
  EXPECT_EQ(program.input_of(weight)->name, "body.0.weight");
  EXPECT_EQ(program.values[weight].users, std::vector<NodeId>{0});
}

TEST(ProgramNodes, nested_no_grad_graphs_are_inlined) {
  const Program program = load_named("dict_inputs");
  const auto inner =
      std::find_if(program.nodes.begin(), program.nodes.end(), [](const Node& n) { return !n.grad_enabled; });
  ASSERT_NE(inner, program.nodes.end());
  EXPECT_NE(inner->graph_path.find("/as_graph/graph"), std::string::npos);
  for (const Node& node : program.nodes) EXPECT_EQ(node.target.find("higher_order"), std::string::npos);
  for (const Value& value : program.values) {
    EXPECT_EQ(std::count_if(program.values.begin(), program.values.end(),
                            [&](const Value& v) { return v.name == value.name; }),
              1);
  }
}

TEST(ProgramInputs, constants_and_symbols_are_described) {
  const Program program = load_named("dict_inputs");
  const auto inputs = program.user_inputs();
  ASSERT_EQ(inputs.size(), 5U);
  EXPECT_EQ(inputs[0]->name, "batch_left");
  EXPECT_EQ(inputs[2]->value, kNone);
  EXPECT_TRUE(inputs[2]->constant.toBool());
  EXPECT_EQ(inputs[3]->constant.toInt(), 2);
  EXPECT_EQ(inputs[4]->constant.toStringRef(), "tanh");
  const Value& left = program.values[inputs[0]->value];
  EXPECT_FALSE(left.sizes[0].is_fixed());
  EXPECT_EQ(left.sizes[0].size, 3);
  EXPECT_EQ(left.sizes[1].size, 4);
  EXPECT_EQ(left.sizes[0].symbol, program.values[inputs[1]->value].sizes[0].symbol);
}

TEST(ProgramInputs, a_range_is_read_from_the_constraints) {
  const Program program = load_named("mlp_dynamic");
  const Dim& batch = program.values[program.user_inputs()[0]->value].sizes[0];
  EXPECT_EQ(batch.min, 3);
  EXPECT_EQ(batch.max, 16);
}

TEST(ProgramState, tied_weights_are_one_tensor) {
  for (const char* name : {"tied", "llama"}) {
    const Program program = load_named(name);
    const bool is_llama = name == std::string("llama");
    const at::Tensor& embedding = program.state.at(is_llama ? "model.embed_tokens.weight" : "embed.weight");
    const at::Tensor& head = program.state.at(is_llama ? "lm_head.weight" : "head.weight");
    EXPECT_TRUE(embedding.is_same(head)) << name;
    EXPECT_TRUE(embedding.requires_grad());
  }
}

TEST(ProgramOutputs, literals_stay_literals) {
  const Program program = load_named("dict_inputs");
  ASSERT_EQ(program.outputs.size(), 5U);
  EXPECT_TRUE(program.is_output(program.outputs[0].value));
  EXPECT_TRUE(program.outputs[3].literal.isNone());
  EXPECT_EQ(program.values[program.outputs[4].value].kind, ValueKind::kSymbol);
}

}  // namespace
}  // namespace adascale::testing
