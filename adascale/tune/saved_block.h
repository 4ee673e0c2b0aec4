#pragma once
#include <string>
#include <vector>

#include "adascale/quant/encoding.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/report.h"

namespace adascale {

/// A block as training decided it.
struct SavedBlock {
  std::vector<Encoding> encodings;  ///< of its weights, in the job's order
  bool trained = false;             ///< the codes were learned
  bool ran_in_training = false;     ///< the quantized stream left the block with training's dtypes and flags
  BlockReport report;
};

/// One .safetensors file with a digest of its content. Exactly `path` is written; the caller stages it.
void write_block(const std::string& path, const SavedBlock& block);

/// A weight that a block is expected to have.
struct ExpectedWeight {
  std::string name;
  Grid grid;
  std::vector<int64_t> sizes;
  c10::ScalarType dtype;
};

ExpectedWeight expected_weight(const QuantizationSimModel& sim, int32_t weight);

/// Throws (user) unless the file is whole and has these weights, in this order.
SavedBlock read_block(const std::string& path, const std::vector<ExpectedWeight>& weights);

}  // namespace adascale
