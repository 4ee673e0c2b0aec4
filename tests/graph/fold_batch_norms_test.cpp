#include "adascale/graph/fold_batch_norms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>
#include <set>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

fs::path folder() {
  return made_by("graph/make_batch_norms.py", "batch_norms");
}

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  return (got.to(at::kDouble) - exact).abs().max().item<double>() / exact.abs().max().item<double>();
}

int count_norms(const Program& program) {
  int count = 0;
  for (const Node& node : program.nodes) count += node.op() == "aten::batch_norm";
  return count;
}

struct Case {
  std::string name;
  size_t folded;
  double tolerance = 1e-5;
};

std::ostream& operator<<(std::ostream& out, const Case& test) {
  return out << test.name;
}

class FoldBatchNorms : public ::testing::TestWithParam<Case> {
 protected:
  at::Tensor run(const Program& program) const {
    const at::NoGradGuard no_grad;
    return run_program(program, {record_.at("input.0").clone()})[0].toTensor();
  }

  std::string file_ = folder() / (GetParam().name + ".pt2");
  Program program_ = load_program(file_);
  Tensors record_ = read_tensors(folder() / (GetParam().name + ".safetensors"));
};

TEST_P(FoldBatchNorms, leaves_none_and_computes_the_same) {
  ASSERT_EQ(count_norms(program_), static_cast<int>(GetParam().folded));
  EXPECT_TRUE(fold_batch_norms(program_).empty());
  EXPECT_EQ(count_norms(program_), 0);
  EXPECT_EQ(program_.folded_batch_norms.size(), GetParam().folded);
  EXPECT_LE(relative_error(run(program_), record_.at("output.0")), GetParam().tolerance);
}

TEST_P(FoldBatchNorms, is_saved_as_it_runs) {
  fold_batch_norms(program_);
  const fs::path saved = fs::path(ADASCALE_TEST_SCRATCH) / "folded_programs";
  fs::create_directories(saved);
  const at::Tensor output = run(program_);
  save_program(program_, saved / (GetParam().name + ".pt2"), {}, {});
  EXPECT_TRUE(at::equal(run(load_program(saved / (GetParam().name + ".pt2"))), output));
}

TEST_P(FoldBatchNorms, describes_the_same_program_as_its_document) {
  fold_batch_norms(program_);
  const Program parsed = parse_program(program_.document->dump(), program_.state);
  ASSERT_EQ(parsed.nodes.size(), program_.nodes.size());
  for (size_t i = 0; i < parsed.nodes.size(); ++i) {
    EXPECT_EQ(parsed.nodes[i].name, program_.nodes[i].name);
    EXPECT_EQ(parsed.nodes[i].graph_path, program_.nodes[i].graph_path);
    EXPECT_EQ(parsed.nodes[i].position, program_.nodes[i].position);
    EXPECT_EQ(parsed.calls[parsed.nodes[i].call].key, program_.calls[program_.nodes[i].call].key);
    EXPECT_EQ(parsed.nodes[i].reads().size(), program_.nodes[i].reads().size());
  }
  ASSERT_EQ(parsed.inputs.size(), program_.inputs.size());
  for (size_t i = 0; i < parsed.inputs.size(); ++i) {
    EXPECT_EQ(parsed.inputs[i].name, program_.inputs[i].name);
    EXPECT_EQ(parsed.inputs[i].kind, program_.inputs[i].kind);
  }
  EXPECT_EQ(parsed.values.size(), program_.values.size());
  EXPECT_EQ(parsed.calls.size(), program_.calls.size());
  EXPECT_EQ(parsed.state.size(), parsed.inputs.size() - parsed.user_inputs().size());
}

TEST_P(FoldBatchNorms, changes_no_tensor_that_it_was_given) {
  Tensors before, given;
  for (const auto& [name, tensor] : program_.state) before[name] = tensor.clone(), given[name] = tensor;
  fold_batch_norms(program_);
  for (const auto& [name, tensor] : given) EXPECT_TRUE(at::equal(tensor, before.at(name))) << name;
}

TEST_P(FoldBatchNorms, in_place_leaves_the_module_it_came_from_computing_the_same) {
  Program other = program_;  // the same tensors, as the user's own module has
  fold_batch_norms(program_, true);
  EXPECT_LE(relative_error(run(program_), record_.at("output.0")), GetParam().tolerance);
  EXPECT_LE(relative_error(run(other), record_.at("output.0")), 2 * GetParam().tolerance);
}

TEST_P(FoldBatchNorms, tells_what_the_module_it_came_from_must_hold) {
  Program other = program_;
  fold_batch_norms(program_);
  for (const FoldedBatchNorm& norm : program_.folded_batch_norms)
    for (const auto& [name, tensor] : norm.source_state) other.state.at(name) = tensor;
  EXPECT_LE(relative_error(run(other), record_.at("output.0")), 2 * GetParam().tolerance);
}

const std::vector<Case> kCases = {{"resnet", 6},    {"mobilenet", 3},     {"transposed", 2},
                                  {"linear", 2},    {"one_dimension", 1}, {"three_dimensions", 2},
                                  {"half", 1, 2e-2}};

INSTANTIATE_TEST_SUITE_P(Models, FoldBatchNorms, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(FoldedPrograms, compute_the_same_in_python) {
  const fs::path saved = fs::path(ADASCALE_TEST_SCRATCH) / "folded_programs.all";
  fs::create_directories(saved);
  for (const Case& test : kCases) {
    Program program = load_program(folder() / (test.name + ".pt2"));
    const at::Tensor input = read_tensors(folder() / (test.name + ".safetensors")).at("input.0");
    fold_batch_norms(program);
    const at::NoGradGuard no_grad;
    const at::Tensor output = run_program(program, {input.clone()})[0].toTensor();
    save_program(program, saved / (test.name + ".pt2"), {}, {});
    write_safetensors(saved / (test.name + ".safetensors"),
                      {{"input.0", input}, {"output.0", output.contiguous()}}, {});
  }
  EXPECT_TRUE(python_computes_the_same(saved));
}

struct KeptBatchNorms : ::testing::Test {
  Program program = load_program(folder() / "kept.pt2");
};

TEST_F(KeptBatchNorms, are_named_with_their_reasons) {
  std::map<std::string, std::string> reasons;
  for (const KeptBatchNorm& norm : fold_batch_norms(program)) reasons[norm.name] = norm.reason;
  const std::map<std::string, std::string> expected = {
      {"first", "it follows the model's input, which is no convolution or linear"},
      {"two_readers", "the result of conv (conv2d) is read elsewhere too"},
      {"after_add", "it follows (root) (add), which is no convolution or linear"},
      {"after_shared", "shared.weight is read elsewhere too"},
      {"no_statistics", "it has no running statistics and uses the batch's own"},
      {"used_twice", "used_twice.weight is read elsewhere too"},
      {"used_twice@1", "used_twice.weight is read elsewhere too"},
      {"in_no_grad", "it lies in a no_grad region"},
      {"after_cat", "it follows (root) (cat), which is no convolution or linear"},
      {"over_tokens", "dimension 1, which it normalizes, is not the output channels of tokens (linear)"}};
  EXPECT_EQ(reasons, expected);
}

TEST_F(KeptBatchNorms, stand_beside_one_that_is_folded) {
  const Tensors record = read_tensors(folder() / "kept.safetensors");
  fold_batch_norms(program);
  ASSERT_EQ(program.folded_batch_norms.size(), 1U);
  EXPECT_EQ(program.folded_batch_norms[0].name, "folded");
  EXPECT_EQ(program.folded_batch_norms[0].into, "last_conv");
  EXPECT_TRUE(program.state.contains("last_conv.bias"));
  EXPECT_TRUE(program.state.contains("first.running_mean"));
  for (const ProgramInput& input : program.inputs)
    EXPECT_NE(input.name.rfind("folded.", 0), 0U) << input.name;
  for (const ModuleCall& call : program.calls) EXPECT_NE(call.path, "folded");
  const at::NoGradGuard no_grad;
  const at::Tensor output = run_program(program, {record.at("input.0").clone()})[0].toTensor();
  EXPECT_LE(relative_error(output, record.at("output.0")), 1e-5);
}

TEST_F(KeptBatchNorms, are_the_same_when_asked_again) {
  const auto first = fold_batch_norms(program);
  const std::string document = program.document->dump();
  EXPECT_EQ(fold_batch_norms(program).size(), first.size());
  EXPECT_EQ(program.document->dump(), document);
  EXPECT_EQ(program.folded_batch_norms.size(), 1U);
}

TEST(FoldedTiedWeight, is_replaced_under_all_its_names) {
  Program program = load_program(folder() / "linear.pt2");
  program.state["alias"] = program.state.at("0.weight");
  fold_batch_norms(program);
  EXPECT_TRUE(program.state.at("alias").is_same(program.state.at("0.weight")));
  EXPECT_TRUE(program.state.at("0.weight").requires_grad());
}

}  // namespace
}  // namespace adascale::testing
