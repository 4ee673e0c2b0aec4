#include "adascale/kernels/weight_rows.h"

// clang-format off: Highway wants its headers in this order.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adascale/kernels/range_trial.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "adascale/kernels/vectors-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

void find_errors_here(const RangeTrial& t, int64_t first, int64_t last) {
  const int64_t groups = t.groups();
  for (int64_t row = first; row < last; ++row) {
    for (int64_t k = 0; k < groups; ++k) {
      const int64_t column = k * t.group, begin = row * t.cols + column,
                    at = t.one_scale ? 0 : row * groups + k;
      const float *w = t.w + begin, *importance = t.importance + (t.importance_by_row ? begin : column);
      const float minimum = t.minimum == nullptr ? 0 : t.minimum[at];
      const float lowest = t.minimum != nullptr ? 0 : t.grid.symmetric ? t.grid.qmin : t.offset[at];
      const V scale = set(t.scale[at]), per_unit = set(1 / t.scale[at]);
      const V from = set(minimum), low = set(lowest), high = set(lowest + t.grid.steps);
      V total = hn::Zero(Floats());
      for_vectors(HWY_MIN(t.group, t.cols - column), [&](int64_t i, auto width) HWY_ATTR {
        const V value = hn::Sub(load(w + i, width), from);
        const V code = hn::Min(hn::Max(hn::Round(hn::Mul(value, per_unit)), low), high);
        const V error = hn::NegMulAdd(code, scale, value);
        total = hn::MulAdd(hn::Mul(error, error), load(importance + i, width), total);
      });
      t.error[row * groups + k] = sum(total);
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace adascale {

HWY_EXPORT(find_errors_here);

void find_errors(const RangeTrial& trial, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(find_errors_here)(trial, first, last);
}

}  // namespace adascale
#endif
