#pragma once

namespace adascale {

/// Keeps what is freed for the next allocation, as long as it lives, and gives it back at the end.
///
/// A training step frees and asks for the same tensors again and again; going back to the system each time
/// costs a convolution's step more page faults than arithmetic. Between blocks, tensors that stay are made
/// beside tensors that go: give_back() then, or the holes would add up to a copy of the model. One at a time.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;

  static void give_back();
};

}  // namespace adascale
