#include "adascale/sim/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/words.h"

namespace adascale {
namespace {

struct SchemeName {
  QuantScheme scheme;
  const char* name;
};

constexpr std::array<SchemeName, 5> kSchemes = {{
    {QuantScheme::post_training_tf, "post_training_tf"},
    {QuantScheme::post_training_tf_enhanced, "post_training_tf_enhanced"},
    {QuantScheme::post_training_percentile, "post_training_percentile"},
    {QuantScheme::training_range_learning_with_tf_init, "training_range_learning_with_tf_init"},
    {QuantScheme::training_range_learning_with_tf_enhanced_init,
     "training_range_learning_with_tf_enhanced_init"},
}};

}  // namespace

std::string to_string(QuantScheme scheme) {
  const auto row = std::find_if(kSchemes.begin(), kSchemes.end(),
                                [&](const SchemeName& candidate) { return candidate.scheme == scheme; });
  ADA_ASSERT(row != kSchemes.end(), "a quantization scheme without a name");
  return row->name;
}

QuantScheme quant_scheme_from(const std::string& name, const std::string& spelled) {
  std::vector<std::string> names;
  for (const SchemeName& row : kSchemes) {
    if (name == row.name) return row.scheme;
    names.push_back(row.name);
  }
  fail("{}: got '{}', expected one of {}{}", spelled, name, fmt::join(names, ", "),
       did_you_mean(name, names));
}

}  // namespace adascale
