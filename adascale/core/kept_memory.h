#pragma once
#include <cstdint>

namespace adascale {

/// Keeps freed memory for the next allocation as long as this object lives, and gives it back at the end.
///
/// A training step frees and allocates the same tensors again and again; returning them to the
/// system each time costs a convolution's step more page faults than arithmetic. Between blocks,
/// tensors that stay are made beside tensors that go: call give_back() then, or the holes add up to
/// a copy of the model. One object at a time.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;

  static void give_back();
  /// The same once the process's own memory is 32 MiB above its least since memory was last given back; cheap to ask.
  /// For what is done batch by batch: glibc cannot use a freed chunk again for an aligned one of the same size.
  static void give_back_holes();
  /// So many bytes are in use for long: no holes.
  static void note_kept(int64_t bytes);
};

}  // namespace adascale
