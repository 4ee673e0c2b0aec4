#include <ATen/Context.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include "adascale/quant/schemes.h"
#include "cases.h"

namespace adascale::bench {
namespace {

/// The whole search of a weight's ranges, each input channel weighed by its power.
void run(benchmark::State& state, const Grid& grid) {
  at::manual_seed(1);
  const at::Tensor w = at::randn({kRows, kCols}).mul_(0.1), importance = at::rand({1, kCols});
  for (auto _ : state) benchmark::DoNotOptimize(weighted_sqnr_range(w, grid, importance));
  state.SetItemsProcessed(kRows * kCols * static_cast<int64_t>(state.iterations()));
}

}  // namespace

void add_clip_search() {
  for (const NamedGrid& named : {per_channel(), groups_of_64()})
    add_benchmark("clip_search/" + named.name, [=](auto& state) { run(state, named.grid); });
}

}  // namespace adascale::bench
