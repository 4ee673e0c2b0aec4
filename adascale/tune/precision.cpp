#include "adascale/tune/precision.h"

#include <ATen/cpu/Utils.h>

#include <algorithm>

namespace adascale {
namespace {

// Error of the outputs after training in bf16 over that in fp32, the seed's model
// (tests/tune/precision_test): 0.85 at 2 bits, 0.92 at 3, 0.97 at 4, but 1.27 at 5 and 1.79 at 6.
constexpr int kMostBits = 4;

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

bool takes_bfloat16(const at::Tensor& weight, int bits) {
  return weight.is_cpu() && weight.scalar_type() == at::kFloat && bits <= kMostBits;
}

}  // namespace adascale
