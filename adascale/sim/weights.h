#pragma once
#include <vector>

#include "adascale/core/error.h"
#include "adascale/graph/program.h"
#include "adascale/sim/config.h"
#include "adascale/sim/options.h"
#include "adascale/sim/quantized_weight.h"

namespace adascale {

struct WeightPlacement {
  std::vector<QuantizedWeight> quantized;
  std::vector<Layer> excluded;
};

/// The quantizer of every layer: the config's rule, then the options, then each pattern of
/// layer_config in turn. Finds the ranges where the options say so. Adds each fault to `objections`: bits,
/// groups, NaN or infinite weights, dtypes, patterns without a match.
WeightPlacement place_weight_quantizers(const Program& program, const std::vector<Layer>& layers,
                                        const SimConfig& config, const SimOptions& options,
                                        Objections& objections);

}  // namespace adascale
