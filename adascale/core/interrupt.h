#pragma once
#include <functional>

namespace adascale {

/// Throws what ends the work, where its user wants it to end; Python's door asks for Ctrl-C. Called by long work
/// between two batches or weights.
using InterruptCheck = std::function<void()>;
void set_interrupt_check(InterruptCheck check);
void check_interrupt();

}  // namespace adascale
