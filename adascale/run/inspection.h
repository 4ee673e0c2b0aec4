#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/run/model_plan.h"
#include "adascale/run/stored_quantizers.h"

namespace adascale {

/// A layer as it would be quantized.
struct InspectedLayer {
  std::string name, kind;
  std::vector<int64_t> sizes;
  std::string grid;
  std::string block;              ///< that trains it; empty: none does
  std::string not_trained;        ///< then why
  int64_t before = 0, after = 0;  ///< bytes of the weight; as packed codes and scales
};

/// `train_outside`: layers outside the blocks are trained too, each as its own block.
std::vector<InspectedLayer> inspected_layers(const ModelPlan& plan, bool train_outside);

/// What the page of `inspect` shows: inputs, blocks, layers with their grids and sizes, what is left out, batch norms; and
/// of a model that adascale wrote, the grids and ranges that it holds (stored_json).
std::string inspection_json(const std::string& model, const ModelPlan& plan, bool train_outside,
                            const std::vector<StoredQuantizer>& quantizers);

}  // namespace adascale
