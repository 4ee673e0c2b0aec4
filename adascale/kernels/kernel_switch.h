#pragma once

namespace adascale {

/// Whether weights may go by the kernels here: always, but where a test wants tensor operators and autograd,
/// which other devices run, on the CPU too.
bool kernels_are_on();
void switch_kernels(bool on);

}  // namespace adascale
