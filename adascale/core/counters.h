#pragma once
#include <atomic>
#include <cstdint>

namespace adascale {

/// Decisions that a run takes once. Tests hold it to that.
enum class Counted { kFindBlocks, kReadOptions };

/// How often it happened in this process.
inline std::atomic<int64_t>& count_of(Counted what) {
  static std::atomic<int64_t> counts[2] = {};
  return counts[static_cast<int>(what)];
}

}  // namespace adascale
