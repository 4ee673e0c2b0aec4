#include "adascale/tune/blocks.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "error_text.h"

namespace adascale {
namespace {

using Names = std::vector<std::string>;

/// Writes small programs by hand.
class ProgramBuilder {
 public:
  ProgramBuilder() { root = call(kNone, "", "Model"); }

  CallId call(CallId parent, const std::string& path, const std::string& type,
              const std::string& suffix = "") {
    ModuleCall module;
    module.key = "key_" + path + suffix, module.path = path, module.type = "models." + type,
    module.parent = parent;
    program_.calls.push_back(module);
    return static_cast<CallId>(program_.calls.size()) - 1;
  }

  ValueId input(ProgramInput::Kind kind, const std::string& name, at::ScalarType dtype = at::kFloat) {
    ProgramInput input;
    input.kind = kind, input.name = name, input.value = value(name, dtype);
    program_.inputs.push_back(input);
    return input.value;
  }
  ValueId user(const std::string& name) { return input(ProgramInput::Kind::kUser, name); }
  ValueId parameter() {
    return input(ProgramInput::Kind::kParameter, fmt::format("p{}", program_.values.size()));
  }

  /// A node with its tensor operands by schema name.
  ValueId node(CallId call, const std::string& op,
               const std::vector<std::pair<std::string, ValueId>>& operands,
               at::ScalarType dtype = at::kFloat) {
    return nodes(call, op, operands, 1, dtype).front();
  }
  /// A node with a list result.
  std::vector<ValueId> nodes(CallId call, const std::string& op,
                             const std::vector<std::pair<std::string, ValueId>>& operands, int results,
                             at::ScalarType dtype = at::kFloat) {
    Node node;
    node.name = fmt::format("{}_{}", op, program_.nodes.size());
    node.target = "torch.ops.aten." + op + ".default";
    node.call = call;
    for (const auto& [name, id] : operands) {
      NamedArgument operand;
      operand.name = name, operand.argument.kind = Argument::Kind::kValue, operand.argument.value = id;
      node.inputs.push_back(operand);
    }
    NodeOutput output;
    output.is_list = results > 1;
    for (int k = 0; k < results; ++k)
      output.values.push_back(value(fmt::format("{}_{}", node.name, k), dtype));
    node.outputs.push_back(output);
    program_.nodes.push_back(node);
    return output.values;
  }

  ValueId linear(CallId call, ValueId x) {
    return node(call, "linear", {{"input", x}, {"weight", parameter()}});
  }
  ValueId relu(CallId call, ValueId x) { return node(call, "relu", {{"self", x}}); }
  ValueId add(CallId call, ValueId a, ValueId b) { return node(call, "add", {{"self", a}, {"other", b}}); }
  ValueId two_linears(CallId call, ValueId x) { return linear(call, relu(call, linear(call, x))); }
  /// A child call of class Block that applies two linears.
  ValueId block(CallId parent, const std::string& path, ValueId x, const std::string& suffix = "") {
    return two_linears(call(parent, path, "Block", suffix), x);
  }

  Program finish(ValueId output) {
    Argument argument;
    argument.kind = Argument::Kind::kValue, argument.value = output;
    program_.outputs.push_back(argument);
    link(program_);
    return std::move(program_);
  }

  CallId root = kNone;

 private:
  ValueId value(const std::string& name, at::ScalarType dtype) {
    Value value;
    value.name = name, value.dtype = dtype, value.sizes.resize(2);
    value.sizes[0].size = 2, value.sizes[1].size = 8;
    program_.values.push_back(value);
    return static_cast<ValueId>(program_.values.size()) - 1;
  }

  Program program_;
};

/// Two blocks in a row inside `body`, a norm without layers, a head of one linear.
Program chain_with_head() {
  ProgramBuilder build;
  ValueId x = build.user("x");
  const CallId body = build.call(build.root, "body", "Body");
  x = build.block(body, "body.0", x);
  x = build.block(body, "body.1", x);
  x = build.relu(build.call(build.root, "norm", "Norm"), x);
  return build.finish(build.linear(build.call(build.root, "head", "Head"), x));
}

Names names_of(const std::vector<Block>& blocks) {
  Names names;
  for (const Block& block : blocks) names.push_back(block.name);
  return names;
}

Names value_names(const Program& program, const std::vector<ValueId>& values) {
  Names names;
  for (ValueId value : values) names.push_back(program.values[value].name);
  return names;
}

Names names_found(const Program& program) {
  return names_of(find_blocks(program));
}
Names names_matching(const Program& program, const Names& patterns) {
  return names_of(blocks_matching(program, patterns));
}

std::string patterns_error(const Program& program, const Names& patterns) {
  return testing::error_of([&] { blocks_matching(program, patterns); });
}

TEST(FindBlocks, TakesTheRunInsideTheBody) {
  const Program program = chain_with_head();
  const std::vector<Block> blocks = find_blocks(program);
  EXPECT_EQ(names_of(blocks), Names({"body.0", "body.1"}));
  EXPECT_EQ(blocks[0].nodes.size(), 3u);
  EXPECT_EQ(blocks[0].layers.size(), 2u);
  EXPECT_EQ(value_names(program, blocks[0].activations_in), Names({"x"}));
  EXPECT_EQ(blocks[0].activations_out, blocks[1].activations_in);
}

TEST(FindBlocks, NeverLooksAtNames) {
  const Program program = chain_with_head();
  Program renamed = program;
  for (size_t k = 0; k < renamed.values.size(); ++k) renamed.values[k].name = fmt::format("v{}", 900 - k);
  for (Node& node : renamed.nodes) node.name = "mask_" + node.name;
  for (size_t k = 0; k < renamed.calls.size(); ++k) {
    renamed.calls[k].key = renamed.calls[k].path = fmt::format("head{}", 900 - k);
    renamed.calls[k].type = "Sequential" + std::to_string(renamed.calls[k].type.size());
  }
  const auto before = find_blocks(program), after = find_blocks(renamed);
  ASSERT_EQ(before.size(), after.size());
  for (size_t k = 0; k < before.size(); ++k) EXPECT_EQ(before[k].call, after[k].call);
}

TEST(FindBlocks, IsEmptyWithoutACallOfTwoLayers) {
  EXPECT_TRUE(find_blocks(Program{}).empty());
  ProgramBuilder build;
  EXPECT_TRUE(find_blocks(build.finish(build.linear(build.root, build.user("x")))).empty());
}

TEST(FindBlocks, MakesAFunctionalRootOneBlock) {
  ProgramBuilder build;
  EXPECT_EQ(names_found(build.finish(build.two_linears(build.root, build.user("x")))), Names({"(root)"}));
}

TEST(FindBlocks, PutsWhatTheWholeClassIsFedAside) {
  ProgramBuilder build;
  ValueId x = build.user("x");
  const ValueId mask = build.user("mask");
  for (int k = 0; k < 2; ++k) {
    const CallId call = build.call(build.root, std::to_string(k), "Block");
    x = build.two_linears(call, build.add(call, x, mask));
  }
  const Program program = build.finish(x);
  const std::vector<Block> blocks = find_blocks(program);
  ASSERT_EQ(names_of(blocks), Names({"0", "1"}));
  for (const Block& block : blocks) EXPECT_EQ(value_names(program, block.side_in), Names({"mask"}));
  EXPECT_EQ(value_names(program, blocks[0].activations_in), Names({"x"}));
}

TEST(FindBlocks, TakesTheResidualStreamAsTheActivation) {
  ProgramBuilder build;
  const ValueId x = build.user("x"), scale = build.user("scale");
  const CallId call = build.call(build.root, "a", "A");
  const ValueId y =
      build.add(call, x, build.two_linears(call, build.node(call, "mul", {{"self", x}, {"other", scale}})));
  const Program program = build.finish(build.linear(build.root, y));
  const std::vector<Block> blocks = blocks_matching(program, {"a"});
  EXPECT_EQ(value_names(program, blocks[0].activations_in), Names({"x"}));
  EXPECT_EQ(value_names(program, blocks[0].side_in), Names({"scale"}));
}

TEST(FindBlocks, PrefersStreamsThatCameThroughALayer) {
  ProgramBuilder build;
  const ValueId x = build.user("x"), stream = build.linear(build.root, x);
  const CallId call = build.call(build.root, "a", "A");
  const Program program =
      build.finish(build.linear(build.root, build.two_linears(call, build.add(call, x, stream))));
  const Block block = blocks_matching(program, {"a"})[0];
  EXPECT_EQ(block.activations_in, std::vector<ValueId>({stream}));
  EXPECT_EQ(value_names(program, block.side_in), Names({"x"}));
}

TEST(FindBlocks, PutsOutputsBesideTheResidualStreamAside) {
  ProgramBuilder build;
  const ValueId x = build.user("x");
  const CallId call = build.call(build.root, "a", "A");
  const ValueId scores = build.linear(call, x), y = build.add(call, x, build.linear(call, scores));
  const Program program = build.finish(build.add(build.root, build.linear(build.root, y), scores));
  const Block block = blocks_matching(program, {"a"})[0];
  EXPECT_EQ(block.activations_out, std::vector<ValueId>({y}));
  EXPECT_EQ(block.side_out, std::vector<ValueId>({scores}));
}

TEST(FindBlocks, PutsOutputsThatNoActivationReachesAside) {
  ProgramBuilder build;
  const ValueId x = build.user("x"), stream = build.linear(build.root, x);
  const CallId call = build.call(build.root, "a", "A");
  const ValueId y = build.two_linears(call, stream), side = build.linear(call, x);
  const Program program = build.finish(build.linear(build.root, build.add(build.root, y, side)));
  const Block block = blocks_matching(program, {"a"})[0];
  EXPECT_EQ(block.activations_out, std::vector<ValueId>({y}));
  EXPECT_EQ(block.side_out, std::vector<ValueId>({side}));
}

TEST(FindBlocks, PutsWhatOnlyTheProgramReturnsAside) {
  ProgramBuilder build;
  const CallId call = build.call(build.root, "a", "A");
  const ValueId hidden = build.linear(call, build.user("x")), y = build.linear(call, hidden);
  build.linear(build.root, y);
  const Program program = build.finish(hidden);
  const Block block = blocks_matching(program, {"a"})[0];
  EXPECT_EQ(block.activations_out, std::vector<ValueId>({y}));
  EXPECT_EQ(block.side_out, std::vector<ValueId>({hidden}));
}

TEST(FindBlocks, FollowsDataThroughListResults) {
  ProgramBuilder build;
  ValueId x = build.user("x");
  for (int k = 0; k < 2; ++k) {
    const auto halves = build.nodes(build.root, "split", {{"self", x}}, 2);
    x = build.block(build.root, std::to_string(k),
                    build.node(build.root, "mul", {{"self", halves[0]}, {"other", halves[1]}}));
  }
  EXPECT_EQ(names_found(build.finish(x)), Names({"0", "1"}));
}

TEST(FindBlocks, DoesNotCountShapesAsData) {
  ProgramBuilder build;
  const ValueId x = build.user("x");
  const ValueId zeros = build.node(build.root, "zeros_like", {{"self", x}});
  const CallId call = build.call(build.root, "a", "A");
  const Program program = build.finish(build.two_linears(call, build.add(call, zeros, x)));
  const Block block = blocks_matching(program, {"a"})[0];
  EXPECT_EQ(value_names(program, block.activations_in), Names({"x"}));
  EXPECT_EQ(block.side_in, std::vector<ValueId>({zeros}));
}

TEST(FindBlocks, NeedsOneParameterAmongTheFactorsOfAMatmul) {
  ProgramBuilder build;
  const ValueId x = build.user("x"), w = build.parameter();
  const auto matmul = [&](ValueId a, ValueId b) {
    return build.node(build.root, "matmul", {{"self", a}, {"other", b}});
  };
  const ValueId transposed = build.node(build.root, "t", {{"self", w}});
  matmul(w, transposed);                    // node 1: part of a weight
  matmul(x, x);                             // node 2: attention
  const ValueId y = matmul(x, transposed);  // node 3: a layer, its weight through a view
  build.node(build.root, "embedding", {{"weight", w}, {"indices", x}});
  const Program program = build.finish(y);
  EXPECT_EQ(layers_outside(program, {}), std::vector<NodeId>({3}));
}

TEST(FindBlocks, StaysFastOnTenThousandNodes) {
  ProgramBuilder build;
  ValueId x = build.user("x");
  const ValueId mask = build.user("mask");
  const CallId body = build.call(build.root, "body", "Body");
  for (int k = 0; k < 500; ++k) {
    const std::string path = fmt::format("body.{}", k);
    const CallId layer = build.call(body, path, "Layer");
    const CallId attention = build.call(layer, path + ".attention", "Attention");
    const ValueId y = build.add(layer, x, build.two_linears(attention, build.add(attention, x, mask)));
    ValueId z = y;
    for (int step = 0; step < 12; ++step) z = build.relu(layer, z);
    x = build.add(layer, y, build.block(layer, path + ".mlp", z));
  }
  const Program program = build.finish(x);
  ASSERT_GE(program.nodes.size(), 10000u);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(find_blocks(program).size(), 500u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(BlocksMatching, TakesTheOutermostCallsInExecutionOrder) {
  const Program program = chain_with_head();
  EXPECT_EQ(names_matching(program, {"body*"}), Names({"body"}));
  EXPECT_EQ(names_matching(program, {"body.*"}), Names({"body.0", "body.1"}));
  EXPECT_EQ(names_matching(program, {"head", "body.[01]", "body.1"}), Names({"body.0", "body.1", "head"}));
  EXPECT_EQ(names_matching(program, {"*"}), Names({"(root)"}));
}

TEST(BlocksMatching, TakesAllCallsOfAPathAndOneOfALabel) {
  ProgramBuilder build;
  const ValueId x = build.user("x");
  const ValueId y = build.block(build.root, "enc", build.block(build.root, "enc", x), "@1");
  const Program program = build.finish(y);
  EXPECT_EQ(names_matching(program, {"enc"}), Names({"enc", "enc@1"}));
  EXPECT_EQ(names_matching(program, {"enc@1"}), Names({"enc@1"}));
}

TEST(BlocksMatching, SaysWhatIsWrongWithAPattern) {
  const Program program = chain_with_head();
  EXPECT_EQ(patterns_error(program, {}),
            "blocks: no pattern given; leave it out and the blocks are found by themselves");
  EXPECT_EQ(
      patterns_error(program, {"body.0", "bode.*"}),
      "blocks: 'bode.*' matches no module; calls with two layers or more: (root), body, body.0, body.1");
  EXPECT_EQ(patterns_error(program, {"norm"}),
            "blocks: 'norm' matches norm, which has no linear, convolution, matmul or recurrent layer; "
            "calls with two layers or more: (root), body, body.0, body.1");
  EXPECT_EQ(patterns_error(program, {"body.1", "body"}),
            "blocks: body.1 lies inside body, and both are matched; name one of them");
  EXPECT_EQ(patterns_error(Program{}, {"*"}),
            "blocks: '*' matches no module; no call of this model has two layers");
}

TEST(LayersOutside, AreThoseOfNoBlock) {
  const Program program = chain_with_head();
  const std::vector<NodeId> outside = layers_outside(program, find_blocks(program));
  ASSERT_EQ(outside.size(), 1u);
  EXPECT_EQ(program.calls[program.nodes[outside[0]].call].path, "head");
  EXPECT_EQ(layers_outside(program, {}).size(), 5u);
}

TEST(DescribeCalls, ShowsBlocksAndWhatWasPassedOver) {
  const Program program = chain_with_head();
  EXPECT_EQ(describe_calls(program, find_blocks(program)),
            "  (root)  Model  5 layers\n"
            "  body  Body  4 layers\n"
            "* body.0  Block  2 layers | in x[2, 8] | out linear_2_0[2, 8]\n"
            "* body.1  Block  2 layers | in linear_2_0[2, 8] | out linear_5_0[2, 8]\n"
            "  head  Head  1 layer\n");
}

}  // namespace
}  // namespace adascale
