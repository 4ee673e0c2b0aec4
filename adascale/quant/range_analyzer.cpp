#include "adascale/quant/range_analyzer.h"

#include "adascale/core/error.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/schemes.h"

namespace adascale {

void RangeAnalyzer::observe(const at::Tensor& x) {
  if (x.numel() == 0) return;
  const auto [min, max] = finite_extremes("activation", x);
  add(x, min, max);
}

const std::vector<RangeScheme>& range_schemes() {
  static const std::vector<RangeScheme> schemes = {
      {"post_training_tf", "smallest to largest value seen", make_min_max_analyzer, min_max_range},
      {"post_training_tf_enhanced", "least squared quantization error, clipping included", make_sqnr_analyzer,
       sqnr_range},
      {"post_training_percentile", "leaves 0.01 % of the values out on either side", make_percentile_analyzer,
       percentile_range},
      {"training_range_learning_with_tf_init", "as post_training_tf, a start for training",
       make_min_max_analyzer, min_max_range},
      {"training_range_learning_with_tf_enhanced_init", "as post_training_tf_enhanced, a start for training",
       make_sqnr_analyzer, sqnr_range},
  };
  return schemes;
}

const RangeScheme& range_scheme(const std::string& name) {
  std::string known;
  for (const RangeScheme& scheme : range_schemes()) {
    if (scheme.name == name) return scheme;
    known += (known.empty() ? "" : ", ") + scheme.name;
  }
  fail("quant_scheme: \"{}\" is unknown; use one of {}", name, known);
}

}  // namespace adascale
