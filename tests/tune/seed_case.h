#pragma once
#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include <vector>

#include "formats/model_files.h"

namespace adascale::testing {

/// Inputs of the model of AIMET's page, the same ones each time.
inline std::vector<Inputs> seed_batches(int count) {
  at::manual_seed(3);
  std::vector<Inputs> batches;
  for (int i = 0; i < count; ++i) batches.push_back({at::randn({3, 3, 32, 64})});
  return batches;
}

inline QuantizationSimModel seed_sim(int64_t bits = 3) {
  SimOptions options = w4a16();
  options.default_param_bw = bits;
  return {load_program(model_file("seed")), options};
}

}  // namespace adascale::testing
