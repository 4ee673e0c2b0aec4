#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>

#include "cases.h"

namespace adascale::bench {
namespace {

// The bytes of a pass over a 4096x4096 weight with signed steps in fp32: 20 per weight, half of
// them read here and half written.
constexpr int64_t kBytes = kRows * kCols * 10;

/// The C library's copy. Above its threshold it writes past the caches, which avoids reading the
/// overwritten memory: no kernel that reads and writes the same array can be as fast.
void copy_past_caches(char* to, const char* from, int64_t bytes) {
  std::memcpy(to, from, bytes);
}

/// Copies in pieces below that threshold.
void copy_through_caches(char* to, const char* from, int64_t bytes) {
  constexpr int64_t kPiece = 1 << 16;
  for (int64_t done = 0; done < bytes; done += kPiece)
    std::memcpy(to + done, from + done, std::min(kPiece, bytes - done));
}

template <class Copy>
void run(benchmark::State& state, const Copy& copy) {
  const at::Tensor from = at::zeros({kBytes}, at::kByte), to = at::zeros({kBytes}, at::kByte);
  for (auto _ : state) {
    at::parallel_for(0, kBytes, kBytes / 64, [&](int64_t first, int64_t last) {
      copy(static_cast<char*>(to.mutable_data_ptr()) + first,
           static_cast<const char*>(from.const_data_ptr()) + first, last - first);
    });
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(2 * kBytes * static_cast<int64_t>(state.iterations()));
}

}  // namespace

void add_copy() {
  add_benchmark("copy/past_caches", [](auto& state) { run(state, copy_past_caches); });
  add_benchmark("copy/through_caches", [](auto& state) { run(state, copy_through_caches); });
}

}  // namespace adascale::bench
