#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "adascale/graph/attention.h"
#include "cases.h"

namespace adascale::bench {
namespace {

/// Attention of a SmolLM2 layer: 512 tokens under a causal mask, forward and
/// backward; [1, heads, tokens, 64].
void run(benchmark::State& state, const std::function<at::Tensor(const std::vector<c10::IValue>&)>& attend) {
  at::manual_seed(1);
  constexpr int64_t kHeads = 9, kTokens = 512, kHeadSize = 64;
  std::vector<at::Tensor> inputs;
  for (int i = 0; i < 3; ++i)
    inputs.push_back(at::randn({1, kHeads, kTokens, kHeadSize}).requires_grad_());
  const at::Tensor mask = at::ones({1, 1, kTokens, kTokens}, at::kBool).tril(),
                   gradient = at::randn_like(inputs[0]);
  const std::vector<c10::IValue> operands = {inputs[0], inputs[1],     inputs[2], mask, 0.0,
                                             false,     c10::IValue(), false};
  for (auto _ : state) {
    for (at::Tensor& input : inputs) input.mutable_grad() = at::Tensor();
    attend(operands).backward(gradient);
  }
}

at::Tensor by_operator(const std::vector<c10::IValue>& operands) {
  return at::scaled_dot_product_attention(operands[0].toTensor(), operands[1].toTensor(),
                                          operands[2].toTensor(), operands[3].toTensor());
}

at::Tensor by_products(const std::vector<c10::IValue>& operands) {
  return attend_by_products(operands, at::kBFloat16).value().to(at::kFloat);
}

}  // namespace

void add_attention() {
  add_benchmark("attention/operator", [](auto& state) { run(state, by_operator); });
  add_benchmark("attention/bf16_products", [](auto& state) { run(state, by_products); });
}

}  // namespace adascale::bench
