#pragma once

namespace adascale {

/// Gives what has been freed back to the system. The allocator keeps it otherwise: between blocks, tensors
/// that stay are made beside tensors that go, and the holes would add up to a copy of the model.
void return_free_memory();

}  // namespace adascale
