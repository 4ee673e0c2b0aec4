#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>

#include "adascale/graph/grouped_products.h"
#include "cases.h"

namespace adascale::bench {
namespace {

// The joined gate and up projections of a layer of Qwen3-30B-A3B: 512 tokens, 8 of 128 experts each.
constexpr int64_t kExperts = 128, kRows = 512 * 8, kIn = 2048, kOut = 2 * 768;

struct Layer {
  at::Tensor x = at::randn({kRows, kIn}).to(at::kBFloat16);
  at::Tensor parameter = at::randn({kExperts, kOut, kIn}).to(at::kBFloat16);  // transformers transposes it
  at::Tensor gradient = at::randn({kRows, kOut}).to(at::kBFloat16);
};

/// As the graph runs them: forward and both gradients.
void run_grouped(benchmark::State& state) {
  Layer layer;
  layer.x.requires_grad_();
  layer.parameter.requires_grad_();
  const at::Tensor ends = at::arange(1, kExperts + 1, at::kInt).mul(kRows / kExperts);
  for (auto _ : state) {
    layer.x.mutable_grad() = at::Tensor();
    layer.parameter.mutable_grad() = at::Tensor();
    const std::vector<c10::IValue> operands = {layer.x, layer.parameter.transpose(1, 2), ends, {}, {}};
    multiply_by_groups(operands)->backward(layer.gradient);
  }
}

/// The three products of each expert's rows and nothing else.
void run_bare(benchmark::State& state) {
  const Layer layer;
  const at::Tensor product = at::empty_like(layer.gradient), to_x = at::empty_like(layer.x);
  at::Tensor to_parameter = at::empty_like(layer.parameter);
  constexpr int64_t kShare = kRows / kExperts;
  for (auto _ : state)
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      const auto rows = [expert](const at::Tensor& t) { return t.narrow(0, expert * kShare, kShare); };
      const at::Tensor w = layer.parameter[expert];
      at::Tensor out = rows(product), x_out = rows(to_x), w_out = to_parameter[expert];
      at::mm_out(out, rows(layer.x), w.t());
      at::mm_out(x_out, rows(layer.gradient), w);
      at::mm_out(w_out, rows(layer.gradient).t(), rows(layer.x));
    }
}

}  // namespace

void add_experts() {
  add_benchmark("experts/grouped", run_grouped);
  add_benchmark("experts/bare", run_bare);
}

}  // namespace adascale::bench
