#include "adascale/kernels/kernel_switch.h"

namespace adascale {
namespace {

bool on = true;

}  // namespace

bool kernels_are_on() {
  return on;
}

void switch_kernels(bool now) {
  on = now;
}

}  // namespace adascale
