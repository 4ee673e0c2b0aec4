#include "adascale/tune/precision.h"

#include <ATen/cpu/Utils.h>

#include <algorithm>

namespace adascale {
namespace {

// Error of the outputs after training in bf16 over that in fp32, the seed's model
// (tests/tune/precision_test): 0.85 at 2 bits, 0.92 at 3, 0.97 at 4, but 1.27 at 5 and 1.79 at 6.
constexpr int kMostBits = 4;

/// Another reader, an assertion of its dtype even, would get bf16 too.
bool only_its_nodes_read(const Program& program, const Layer& layer) {
  const auto is_its = [&](NodeId node) {
    return std::find(layer.nodes.begin(), layer.nodes.end(), node) != layer.nodes.end() ||
           std::find(layer.views.begin(), layer.views.end(), node) != layer.views.end();
  };
  const auto is_read_so = [&](ValueId value) {
    const auto& users = program.values[value].users;
    return std::all_of(users.begin(), users.end(), is_its);
  };
  for (const NodeId view : layer.views)
    for (const ValueId value : program.nodes[view].writes())
      if (!is_read_so(value)) return false;
  return std::all_of(layer.weights.begin(), layer.weights.end(), is_read_so);
}

}  // namespace

bool has_fast_bfloat16() {
  static const bool fast = [] {
    const auto capabilities = at::cpu::get_cpu_capabilities();
    const auto has = [&](const char* name) {
      const auto found = capabilities.find(name);
      return found != capabilities.end() && found->second.isBool() && found->second.toBool();
    };
    return has("amx_bf16") || has("avx512_bf16") || has("bf16");
  }();
  return fast;
}

c10::ScalarType compute_type(const std::string& precision, const Recipe& recipe) {
  const bool lower =
      precision == "bfloat16" || (precision == "auto" && recipe.takes_bfloat16 && has_fast_bfloat16());
  return lower ? at::kBFloat16 : at::kFloat;
}

bool takes_bfloat16(const QuantizationSimModel& sim, const QuantizedWeight& weight) {
  const at::Tensor w = sim.state(weight.layer.parameters.front());
  return w.is_cpu() && w.scalar_type() == at::kFloat && weight.grid.bits <= kMostBits &&
         !weight.layer.kind->input.empty() && only_its_nodes_read(sim.program(), weight.layer);
}

}  // namespace adascale
