#pragma once

namespace adascale {

/// Whether the kernels here may handle weights: always, unless a test wants tensor operators and
/// autograd, which other devices run, on the CPU too.
bool kernels_are_on();
void switch_kernels(bool on);

}  // namespace adascale
