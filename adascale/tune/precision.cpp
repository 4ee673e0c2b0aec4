#include "adascale/tune/precision.h"

#include <ATen/cpu/Utils.h>

#include <algorithm>

namespace adascale {
namespace {

constexpr int kMostBits = 6;

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

bool fits_bfloat16(int bits) {
  return bits <= kMostBits;
}

}  // namespace adascale
