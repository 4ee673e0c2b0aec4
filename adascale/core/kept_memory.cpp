#include "adascale/core/kept_memory.h"

#include <atomic>
#include <climits>
#include <cstdlib>  // defines __GLIBC__ where that is the C library
#include <fstream>
#include <optional>

#ifdef __GLIBC__
#include <malloc.h>
#include <unistd.h>
#endif

namespace adascale {

#ifdef __GLIBC__
namespace {

// glibc would raise its thresholds to these by itself as it sees tensors; their
// present values cannot be read.
constexpr int kLargestMapped = 32 << 20;
constexpr int kTrimmed = 2 * kLargestMapped;

/// The user's choice is kept where the allocator's own variables are set.
bool is_decided() {
  return std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr || std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr;
}

/// Of the process's own memory, since holes were last given back.
std::atomic<int64_t> least{INT64_MAX};

/// Resident pages that no file backs; nothing where the system does not say.
std::optional<int64_t> own_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared)) return std::nullopt;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

}  // namespace

KeptMemory::KeptMemory() {
  if (is_decided()) return;
  mallopt(M_MMAP_THRESHOLD, kLargestMapped);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

KeptMemory::~KeptMemory() {
  if (!is_decided()) mallopt(M_TRIM_THRESHOLD, kTrimmed);
  give_back();
}

void KeptMemory::give_back() {
  malloc_trim(0);
}

void KeptMemory::note_kept(int64_t bytes) {
  if (least < INT64_MAX) least += bytes;
}

void KeptMemory::give_back_holes() {
  constexpr int64_t kHoles = 32 << 20;
  const std::optional<int64_t> own = own_bytes();
  if (own && *own < least) least = *own;
  if (own && *own - least < kHoles) return;
  give_back();
  least = own_bytes().value_or(INT64_MAX);
}
#else
KeptMemory::KeptMemory() = default;
KeptMemory::~KeptMemory() = default;
void KeptMemory::give_back() {}
void KeptMemory::give_back_holes() {}
void KeptMemory::note_kept(int64_t) {}
#endif

}  // namespace adascale
