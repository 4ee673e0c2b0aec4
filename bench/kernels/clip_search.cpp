#include <ATen/Context.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include "adascale/quant/schemes.h"
#include "cases.h"

namespace adascale::bench {
namespace {

/// The whole search of a weight's ranges, each input channel weighed by its power.
void run(benchmark::State& state, const Grid& grid, bool is_transposed) {
  at::manual_seed(1);
  at::Tensor w = at::randn({kRows, kCols}).mul_(0.1), importance = at::rand({1, kCols});
  if (is_transposed) w = w.t().contiguous(), importance = importance.t();
  for (auto _ : state) benchmark::DoNotOptimize(weighted_sqnr_range(w, grid, importance));
  state.SetItemsProcessed(kRows * kCols * static_cast<int64_t>(state.iterations()));
}

}  // namespace

void add_clip_search() {
  for (const NamedGrid& named : {per_channel(), groups_of_64()})
    add_benchmark("clip_search/" + named.name, [=](auto& state) { run(state, named.grid, false); });
  Grid in_out = per_channel().grid;
  in_out.channel_axis = 1;
  add_benchmark("clip_search/in_out", [=](auto& state) { run(state, in_out, true); });
}

}  // namespace adascale::bench
