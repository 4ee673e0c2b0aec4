#include <unistd.h>

#include <cstdlib>

#include "cli/cli_main.h"

namespace {

/// Spinning, they take the cores from whatever else runs. A short spin, some 20 microseconds, costs others little and spares
/// threads that soon have work again the wait to be woken (bench/busy.py). OpenMP reads its environment once, as
/// the program is loaded, so that the program loads itself a second time; where it cannot, its threads spin.
void let_waiting_threads_sleep(char** values) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
  setenv("GOMP_SPINCOUNT", "5000", 1);
  execv("/proc/self/exe", values);
}

}  // namespace

int main(int count, char** values) {
  let_waiting_threads_sleep(values);
  return adascale::cli_main({values + 1, values + count}, {adascale::pt2_door()});
}
