#pragma once
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// Has torch use no more threads than the CPU quota allows, unless OMP_NUM_THREADS says how many.
void heed_cpu_quota();

/// Ways in which so many threads waste time: they are more than the quota allows, or they spin while they wait.
std::vector<std::string> notes_on_threads(int threads, std::optional<int> quota, bool spins);

/// Logs these notes on the present process, the first time it is called. The command avoids both unless its user
/// sets the number of threads; in other processes they are the caller's to change.
void note_threads();

}  // namespace adascale
