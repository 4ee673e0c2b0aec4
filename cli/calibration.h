#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

inline constexpr int64_t kDefaultBatchSize = 8;

/// Samples cut into batches that the program takes.
struct Batches {
  std::vector<Inputs> inputs;
  int64_t samples = 0;
  int64_t batch_size = 0;  ///< the last batch may be shorter
};

/// Reads a .safetensors whose tensors are named like the program's inputs, samples along dim 0; the tensor of
/// a program with one input may have any name. `batch_size`: none given means kDefaultBatchSize, or what the
/// program was exported for. Batches are views of the mapped file. Errors, all at once: missing and unknown
/// names, dtypes, shapes, no samples, unequal sample counts, NaN or infinity, a batch that the program does
/// not take.
Batches read_batches(const Program& program, const std::string& path, std::optional<int64_t> batch_size);

}  // namespace adascale
