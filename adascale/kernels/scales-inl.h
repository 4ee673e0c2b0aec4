// Scales, offsets and shrinks from the learned ranges, and the gradients back to them; LPBQ's
// shared scales. Compiled once per instruction set.
#if defined(ADASCALE_KERNELS_SCALES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ADASCALE_KERNELS_SCALES_INL_H_
#undef ADASCALE_KERNELS_SCALES_INL_H_
#else
#define ADASCALE_KERNELS_SCALES_INL_H_
#endif

#include <algorithm>
#include <vector>

#include "adascale/kernels/steps-inl.h"
#include "adascale/kernels/vectors-inl.h"
#include "adascale/kernels/weight_rows.h"

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

/// The learned min and max, at scales i...
struct Clipped {
  V min, max;
};
template <class Width>
HWY_INLINE Clipped clip(const WeightRows& t, int64_t i, Width width) {
  return {hn::Mul(exp(load(t.beta.value + i, width)), load(t.min + i, width)),
          hn::Mul(exp(load(t.gamma.value + i, width)), load(t.max + i, width))};
}

/// A scale may be negative, where the grid has signed ones.
HWY_INLINE V storable(V scale, const RowGrid& grid) {
  V length = hn::Abs(scale);
  if (grid.scale_type == Stored::kHalf) length = round_to_half(length);
  if (grid.scale_type == Stored::kBFloat16) length = round_to_bfloat16(length);
  const V floored = hn::CopySign(hn::Max(length, set(grid.smallest_scale)), scale);
  return hn::IfThenElse(hn::Eq(scale, scale), floored, scale);
}

/// LPBQ's float of a row whose scales would be `ideal`.
HWY_INLINE V channel_scale(const RowGrid& grid, const float* ideal, int64_t groups) {
  float largest = 0;
  for (int64_t k = 0; k < groups; ++k) largest = HWY_MAX(largest, ideal[k]);
  return storable(hn::Div(set(largest), set(grid.block_scale_max)), grid);
}

/// Rounds a row's scales to integer multiples of its channel scale.
void share_scale(const RowGrid& grid, float* scale, int64_t groups) {
  const V channel = channel_scale(grid, scale, groups), most = set(grid.block_scale_max);
  for_vectors(groups, [&](int64_t k, auto width) HWY_ATTR {
    const V multiple = hn::Min(hn::Max(hn::Round(hn::Div(load(scale + k, width), channel)), set(1)), most);
    store(hn::Mul(multiple, channel), scale + k, width);
  });
}

/// The learned (max - min) / steps at scales i..., before it is rounded to the scale.
template <class Width>
HWY_INLINE V ideal_scale(const WeightRows& t, int64_t i, Width width) {
  const auto [min, max] = clip(t, i, width);
  return hn::Div(hn::Sub(max, min), set(t.grid.steps));
}

/// scale, offset and shrink of `count` scales from the learnables.
void find_scales(const WeightRows& t, int64_t first, int64_t count, const RowAffine& into) {
  for_vectors(count, [&](int64_t k, auto width) HWY_ATTR {
    const int64_t i = first + k;
    const auto [min, max] = clip(t, i, width);
    const V ideal = hn::Div(hn::Sub(max, min), set(t.grid.steps));
    const V scale = t.grid.block_scale_max > 0 ? ideal : storable(ideal, t.grid);
    const V position = hn::Round(hn::Div(min, scale));
    const V offset = hn::Min(hn::Max(position, set(-t.grid.steps)), hn::Zero(Floats()));
    store(scale, into.scale + i, width);
    store(t.grid.symmetric ? hn::Zero(Floats()) : offset, into.offset + i, width);
    store(exp(hn::Neg(load(t.s3.value + i, width))), into.shrink + i, width);
  });
  if (t.grid.block_scale_max == 0) return;
  for (int64_t i = first; i < first + count; i += t.groups()) share_scale(t.grid, into.scale + i, t.groups());
}

/// Turns the gradients of a row's scales into those of the unrounded scales: straight through the
/// rounding of the integers, not through their clamp. The channel's goes to the largest scale.
void through_shared_scale(const WeightRows& t, int64_t row, float* to_scale) {
  const int64_t groups = t.groups();
  std::vector<float> ideal(groups);
  for_vectors(groups, [&](int64_t k, auto width) HWY_ATTR {
    store(ideal_scale(t, row * groups + k, width), ideal.data() + k, width);
  });
  const float channel = hn::GetLane(channel_scale(t.grid, ideal.data(), groups));
  float to_channel = 0, largest = 0;
  for (int64_t k = 0; k < groups; ++k) {
    const float ratio = ideal[k] / channel, multiple = t.now.scale[row * groups + k] / channel;
    const bool inside = ratio >= 1 && ratio <= t.grid.block_scale_max;
    to_channel += to_scale[k] * (inside ? multiple - ratio : multiple);
    if (!inside) to_scale[k] = 0;
    largest = HWY_MAX(largest, ideal[k]);
  }
  // Equal maxima share the gradient, as in amax.
  const auto equals = std::count(ideal.begin(), ideal.end(), largest);
  const float share = to_channel / (t.grid.block_scale_max * static_cast<float>(equals));
  for (int64_t k = 0; k < groups; ++k)
    if (ideal[k] == largest) to_scale[k] += share;
}

/// The step of gamma, beta and s3 at `count` scales, from sums in three arrays; then their new affine, unless the
/// caller finds it.
template <class Step>
void step_scales(const WeightRows& t, const RowRule& rule, int64_t first, int64_t count, const float* to_s3,
                 const float* to_scale, const float* to_offset) {
  const Step clipping(rule, rule.scale_rate), rounding(rule, rule.rounding_rate);
  const V steps = set(t.grid.steps), one = set(1);
  for_vectors(count, [&](int64_t k, auto width) HWY_ATTR {
    const int64_t i = first + k;
    const auto [min, max] = clip(t, i, width);
    V slope = load(to_scale + k, width), to_min = hn::Zero(Floats());
    if (t.now.minimum != nullptr) {
      to_min = load(to_offset + k, width);
    } else if (!t.grid.symmetric) {
      // offset = min / scale, straight through its rounding.
      const V scale = load(t.now.scale + i, width), outside = load(to_offset + k, width);
      slope = hn::NegMulAdd(outside, hn::Div(min, scale), slope);
      to_min = outside;
    }
    const V to_max = hn::Div(slope, steps);
    clipping.move(t.gamma, i, width, hn::Mul(to_max, max), one);
    clipping.move(t.beta, i, width, hn::Mul(hn::Sub(to_min, to_max), min), one);
    rounding.move(t.s3, i, width, load(to_s3 + k, width), set(kSharedStep));
  });
  if (!t.scales_apart) find_scales(t, first, count, t.next);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#endif
