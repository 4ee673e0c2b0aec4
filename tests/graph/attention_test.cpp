#include "adascale/graph/attention.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <limits>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

/// scaled_dot_product_attention's operands.
struct Call {
  at::Tensor query = at::randn({2, 6, 5, 8}), key = at::randn({2, 6, 7, 8}), value = at::randn({2, 6, 7, 4});
  std::optional<at::Tensor> mask = std::nullopt;
  double dropout = 0;
  bool is_causal = false;
  std::optional<double> scale = std::nullopt;
  bool shares_heads = false;

  std::vector<c10::IValue> operands() const {
    return {query, key, value, mask, dropout, is_causal, scale, shares_heads};
  }
  at::Tensor by_operator() const {
    return at::scaled_dot_product_attention(query, key, value, mask, dropout, is_causal, scale, shares_heads);
  }
};

std::map<std::string, Call> calls() {
  at::manual_seed(5);
  std::map<std::string, Call> made;
  made["plain"] = {};
  made["causal"] = {.is_causal = true};
  made["scaled"] = {.scale = 0.7};
  made["biased"] = {.mask = at::randn({2, 1, 5, 7})};
  at::Tensor seen = at::rand({5, 7}).lt(0.6);
  seen.select(1, 0).fill_(true);
  made["masked"] = {.mask = seen};
  made["masked by the lowest float"] = {
      .mask = at::zeros({5, 7}).masked_fill_(seen.logical_not(), std::numeric_limits<float>::lowest())};
  made["heads shared"] = {
      .key = at::randn({2, 2, 7, 8}), .value = at::randn({2, 2, 7, 4}), .shares_heads = true};
  const auto heads_last = [](int64_t length) { return at::randn({length, 2, 6, 8}).permute({1, 2, 0, 3}); };
  made["heads last in memory"] = {.query = heads_last(5), .key = heads_last(7), .value = heads_last(7)};
  made["without heads"] = {
      .query = at::randn({3, 5, 8}), .key = at::randn({3, 7, 8}), .value = at::randn({3, 7, 4})};
  return made;
}

TEST(Attention, products_give_what_the_operator_gives) {
  for (const auto& [name, call] : calls()) {
    const at::Tensor expected = call.by_operator();
    const auto exact = attend_by_products(call.operands(), at::kFloat);
    ASSERT_TRUE(exact) << name;
    EXPECT_TRUE(exact->allclose(expected, 1e-5, 1e-6)) << name;
    EXPECT_EQ(exact->strides(), expected.strides()) << name << ": views after it count on them";
    const auto lower = attend_by_products(call.operands(), at::kBFloat16);
    ASSERT_TRUE(lower) << name;
    EXPECT_EQ(lower->scalar_type(), at::kBFloat16);
    EXPECT_LT((lower->to(at::kFloat) - expected).norm().item<float>(), 0.01 * expected.norm().item<float>())
        << name;
  }
}

TEST(Attention, products_have_the_operators_gradients) {
  for (auto [name, call] : calls()) {
    const auto gradients = [&call](const std::function<at::Tensor()>& attend) {
      for (at::Tensor* t : {&call.query, &call.key, &call.value}) *t = t->detach().requires_grad_();
      attend().square().sum().backward();
      return std::vector{call.query.grad(), call.key.grad(), call.value.grad()};
    };
    const auto expected = gradients([&] { return call.by_operator(); });
    const auto got = gradients([&] { return *attend_by_products(call.operands(), at::kFloat); });
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(got[i].allclose(expected[i], 1e-4, 1e-5)) << name << ", operand " << i;
  }
}

TEST(Attention, the_operator_is_left_what_only_it_does) {
  EXPECT_FALSE(attend_by_products(Call{.dropout = 0.1}.operands(), at::kFloat));
  at::Tensor seen = at::ones({5, 7}, at::kBool);
  seen[2].fill_(false);
  EXPECT_FALSE(attend_by_products(Call{.mask = seen}.operands(), at::kFloat)) << "it gives zeros there";
  const Call large{.query = at::zeros({1, 1, 8192, 1}),
                   .key = at::zeros({1, 1, 8192, 1}),
                   .value = at::zeros({1, 1, 8192, 1})};
  EXPECT_FALSE(attend_by_products(large.operands(), at::kFloat)) << "its scores would be 2^26 numbers";
}

std::vector<std::string> attention_of(const std::string& name) {
  const Program program = load_named(name);
  const Interpreter whole(program);
  std::vector<std::string> found;
  for (const NodeId node : find_attention(program, whole.nodes())) found.push_back(program.nodes[node].op());
  return found;
}

TEST(Attention, is_found_fused_and_spelled_out) {
  const std::string fused = "aten::scaled_dot_product_attention", product = "aten::matmul";
  EXPECT_EQ(attention_of("llama"), (std::vector{fused, fused}));
  EXPECT_EQ(attention_of("llama_eager"), (std::vector{product, product, product, product}));
  EXPECT_EQ(attention_of("mlp"), std::vector<std::string>{}) << "no attention";
}

TEST(Attention, in_bf16_changes_a_run_little) {
  for (const std::string name : {"llama", "llama_eager", "attention"}) {
    const Program program = load_named(name);
    const std::vector<NodeId> found = find_attention(program, Interpreter(program).nodes());
    RunHooks hooks;
    hooks.compute_type = [&](NodeId node) {
      const bool attends = std::find(found.begin(), found.end(), node) != found.end();
      return attends ? std::optional(at::kBFloat16) : std::nullopt;
    };
    const auto inputs = recorded_inputs(program, recorded(name));
    const at::Tensor exact = run_program(program, inputs)[0].toTensor(),
                     lower = run_program(program, inputs, hooks)[0].toTensor();
    EXPECT_EQ(lower.scalar_type(), at::kFloat);
    EXPECT_FALSE(lower.equal(exact)) << name << ": bf16 was used";
    EXPECT_LT((lower - exact).norm().item<float>(), 0.01 * exact.norm().item<float>()) << name;
  }
}

}  // namespace
}  // namespace adascale::testing
