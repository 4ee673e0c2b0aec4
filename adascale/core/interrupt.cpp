#include "adascale/core/interrupt.h"

#include <utility>

namespace adascale {
namespace {

InterruptCheck& present() {
  static InterruptCheck check;
  return check;
}

}  // namespace

void set_interrupt_check(InterruptCheck check) {
  present() = std::move(check);
}

void check_interrupt() {
  if (present()) present()();
}

}  // namespace adascale
