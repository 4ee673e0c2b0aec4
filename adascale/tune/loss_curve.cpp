#include "adascale/tune/loss_curve.h"

#include <algorithm>

namespace adascale {

LossCurve thinned(const LossCurve& curve) {
  constexpr size_t kPoints = 64;
  const size_t width = (curve.size() + kPoints - 1) / kPoints;
  LossCurve means;
  for (size_t first = 0; first < curve.size(); first += width) {
    const size_t end = std::min(first + width, curve.size());
    double sum = 0;
    for (size_t i = first; i < end; ++i) sum += curve[i].loss;
    means.push_back({curve[end - 1].iteration, sum / static_cast<double>(end - first)});
  }
  return means;
}

}  // namespace adascale
