#pragma once
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <functional>
#include <string>

#include "adascale/quant/grid.h"

namespace adascale::bench {

inline constexpr int64_t kRows = 4096, kCols = 4096;

/// How the scales of the benchmarked weights are shared.
struct NamedGrid {
  std::string name;
  Grid grid;
};

inline NamedGrid per_channel() {
  return {"channel", {.bits = 4, .channel_axis = 0}};
}
inline NamedGrid per_tensor() {
  return {"tensor", {.bits = 4}};
}
inline NamedGrid groups_of_64() {
  return {"g64asym", {.bits = 4, .symmetric = false, .channel_axis = 0, .group_axis = 1, .group_size = 64}};
}

/// NAME/threads:1 and NAME/threads:2. Wall-clock time: the threads are torch's, which
/// the library does not count.
inline void add_benchmark(const std::string& name, const std::function<void(benchmark::State&)>& body) {
  for (const int threads : {1, 2}) {
    const auto with_threads = [body, threads](benchmark::State& state) {
      at::set_num_threads(threads);
      body(state);
    };
    benchmark::RegisterBenchmark(fmt::format("{}/threads:{}", name, threads).c_str(), with_threads)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

// One per file; main.cpp calls them.
void add_copy();
void add_weight_pass();
void add_clip_search();
void add_attention();
void add_experts();

}  // namespace adascale::bench
