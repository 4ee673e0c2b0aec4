#include "adascale/sim/place_quantizers.h"

#include "adascale/graph/fold_batch_norms.h"
#include "adascale/sim/placement.h"

namespace adascale {

void check_unquantized(const Program& program, Objections& objections) {
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const std::string op = program.nodes[i].op();
    if (op.find("fake_quantize") == std::string::npos && op.find("quantized") == std::string::npos) continue;
    objections.add("{}: the program is quantized already ({}); quantize the one it was made from",
                   program.where(static_cast<NodeId>(i)), op);
    return;
  }
}

Placed place_quantizers(const Program& program, const SimConfig& config, const SimOptions& options) {
  Objections objections;
  LayerList layers = find_layers(program);
  WeightPlacement weights = place_weight_quantizers(program, layers.layers, config, options, objections);
  objections.raise();
  return {std::move(weights.quantized), std::move(weights.excluded), std::move(layers.passed_over),
          place_activation_quantizers(program, config, options), std::make_unique<Interpreter>(program)};
}

void check_folded(Program program, const SimConfig& config, const SimOptions& options) {
  fold_batch_norms(program, /*in_place=*/false);
  place_quantizers(program, config, options);
}

}  // namespace adascale
