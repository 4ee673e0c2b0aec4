#pragma once
#include <cstdint>
#include <vector>

namespace adascale {

struct LossPoint {
  int64_t iteration = 0;  ///< the last one that the loss is a mean over; they count from 1
  double loss = 0;
};
/// In the order of the iterations.
using LossCurve = std::vector<LossPoint>;

/// At most 64 points: means over neighbours, of which all but the last have as many.
LossCurve thinned(const LossCurve& curve);

}  // namespace adascale
