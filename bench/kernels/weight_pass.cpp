#include "adascale/quant/weight_pass.h"

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include <utility>
#include <vector>

#include "adascale/quant/range_analyzer.h"
#include "cases.h"

namespace adascale::bench {
namespace {

// So small that the weights do not move, however long a benchmark runs.
constexpr double kDecay = 1e-6;

/// Bytes per weight that one step reads and writes. The per-scale arrays are a thousandth of that,
/// and the second loop over a row finds it in the cache.
int64_t bytes_per_weight(UpdateRule update, const Grid& grid, c10::ScalarType type) {
  const auto element = static_cast<int64_t>(c10::elementSize(type));
  const int64_t read_w = 4, move_s2 = 8, move_moments = update == UpdateRule::kAdam ? 16 : 0;
  const int64_t visit = read_w + move_s2 + move_moments + 2 * element;  // gradient in, output out
  const int64_t first_visit = grid.per_channel() ? 0 : 4 + 4 + element;
  return first_visit + visit;
}

void run(benchmark::State& state, const StepRule& rule, const Grid& grid, c10::ScalarType type) {
  at::manual_seed(1);
  const at::Tensor w = at::randn({kRows, kCols}).mul_(0.1);
  const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
  WeightPass pass(quantizer.state(), rule, type);
  const at::Tensor gradient = at::randn({kRows, kCols}).to(type);
  for (auto _ : state) {
    pass.weight().mutable_grad() = gradient;
    pass.step(kDecay);
  }
  state.SetBytesProcessed(kRows * kCols * bytes_per_weight(rule.update, grid, type) *
                          static_cast<int64_t>(state.iterations()));
}

}  // namespace

void add_weight_pass() {
  const std::pair<const char*, StepRule> rules[] = {{"signed", {UpdateRule::kSigned, 0.002, 1.0 / 64}},
                                                    {"adam", {UpdateRule::kAdam, 1e-3, 5e-4}}};
  for (const auto& [name, rule] : rules)
    for (const NamedGrid& named : {per_channel(), groups_of_64(), per_tensor()})
      for (const c10::ScalarType type : {at::kFloat, at::kBFloat16})
        add_benchmark(fmt::format("pass/{}/{}/{}", name, named.name, type == at::kFloat ? "fp32" : "bf16"),
                      [rule = rule, named, type](auto& state) { run(state, rule, named.grid, type); });
}

}  // namespace adascale::bench
