#include "adascale/device/threads.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdlib>
#include <mutex>

#include "adascale/core/progress.h"
#include "adascale/device/cpu_quota.h"

namespace adascale {

void heed_cpu_quota() {
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return;
  const std::optional<int> quota = cpu_quota();
  if (quota && *quota < at::get_num_threads()) at::set_num_threads(*quota);
}

std::vector<std::string> notes_on_threads(int threads, std::optional<int> quota, bool spins) {
  std::vector<std::string> notes;
  if (quota && *quota < threads)
    notes.push_back(fmt::format("{} threads share a CPU quota of {}, which slows all of them down; use {}",
                                threads, *quota, *quota));
  if (threads > 1 && spins)
    notes.emplace_back(
        "torch's threads keep their cores busy while they wait; where other programs need these cores, start "
        "Python with OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=5000 in its environment");
  return notes;
}

void note_threads() {
  static std::once_flag said;
  std::call_once(said, [] {
    const bool spins = std::getenv("OMP_WAIT_POLICY") == nullptr && std::getenv("GOMP_SPINCOUNT") == nullptr;
    for (const std::string& note : notes_on_threads(at::get_num_threads(), cpu_quota(), spins))
      log_line(note);
  });
}

}  // namespace adascale
