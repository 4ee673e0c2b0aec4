#include "adascale/kernels/weight_rows.h"

#include <algorithm>
#include <vector>

// clang-format off: Highway wants its headers in this order.
// Three instruction sets are enough on x86: what every machine has, AVX2, AVX-512.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adascale/kernels/weight_rows.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "adascale/kernels/vectors-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

struct SignedStep {
  V rate;

  SignedStep(const RowRule&, float scaled_rate) : rate(set(scaled_rate)) {}
  template <class Width>
  static HWY_INLINE V length_of(V start_scale, const float* w, Width width) {
    return hn::Min(hn::Mul(start_scale, reciprocal(hn::Max(hn::Abs(load(w, width)), set(kLeastWeight)))),
                   set(kLongestStep));
  }
  /// Moves elements i... and returns how far down they went.
  template <class Width>
  HWY_INLINE V move(const RowLearnable& p, int64_t i, Width width, V gradient, V length) const {
    const V zero = hn::Zero(Floats());
    const V signed_step =
        hn::IfThenZeroElse(hn::Eq(gradient, zero), hn::CopySign(hn::Mul(rate, length), gradient));
    const V down = hn::MulAdd(gradient, zero, signed_step);  // NaN where the gradient is not finite
    store(hn::Sub(load(p.value + i, width), down), p.value + i, width);
    return down;
  }
};

struct AdamStep {
  V rate, second_factor;

  AdamStep(const RowRule& rule, float scaled_rate)
      : rate(set(scaled_rate)), second_factor(set(rule.second_factor)) {}
  template <class Width>
  static HWY_INLINE V length_of(V start_scale, const float*, Width) {
    return start_scale;  // not used
  }
  template <class Width>
  HWY_INLINE V move(const RowLearnable& p, int64_t i, Width width, V gradient, V) const {
    const V first = hn::MulAdd(set(0.9F), load(p.first + i, width), hn::Mul(set(0.1F), gradient));
    const V second =
        hn::MulAdd(set(0.999F), load(p.second + i, width), hn::Mul(set(0.001F), hn::Mul(gradient, gradient)));
    const V spread = hn::MulAdd(hn::Sqrt(second), second_factor, set(1e-8F));
    const V down = hn::Div(hn::Mul(rate, first), spread);
    store(first, p.first + i, width);
    store(second, p.second + i, width);
    store(hn::Sub(load(p.value + i, width), down), p.value + i, width);
    return down;
  }
};

/// One group of one row: where it begins in the row-major arrays, and its scale.
struct Group {
  int64_t begin, column, count, scale;
};

template <class Body>
HWY_INLINE void for_groups(const WeightRows& t, int64_t row, const Body& body) {
  for (int64_t k = 0, column = 0; column < t.cols; ++k, column += t.group)
    body(Group{row * t.cols + column, column, HWY_MIN(t.group, t.cols - column),
               t.one_scale ? 0 : row * t.groups() + k},
         k);
}

/// The group's codes span [lowest, highest], offset included.
struct Span {
  V lowest, highest;
};
HWY_INLINE Span span_of(const RowGrid& grid, float offset) {
  const float lowest = grid.symmetric ? grid.qmin : offset;
  return {set(lowest), set(lowest + grid.steps)};
}

/// What the sums over a group are made of (algorithm in fake_quantize.h).
struct Sums {
  float moved = 0;    ///< of g x inside the grid: -dL/ds3 over scale
  float coded = 0;    ///< of g c; less `moved`, dL/dscale
  float outside = 0;  ///< of g outside the grid: dL/doffset over scale
};

/// What a visit keeps of a row between its two loops.
struct RowScratch {
  std::vector<float> bare;                        ///< W exp(-s2)
  std::vector<float> moved;                       ///< g x inside the grid, 0 outside
  std::vector<float> to_s3, to_scale, to_offset;  ///< per group

  explicit RowScratch(const WeightRows& t)
      : bare(t.cols), moved(t.cols), to_s3(t.groups()), to_scale(t.groups()), to_offset(t.groups()) {}
};

template <class Width>
HWY_INLINE V in_steps(V bare, V steps_per_unit, const float* column_shrink, int64_t i, Width width) {
  const V x = hn::Mul(bare, steps_per_unit);
  return column_shrink == nullptr ? x : hn::Mul(x, load(column_shrink + i, width));
}

HWY_INLINE const float* at_column(const float* columns, const Group& group) {
  return columns == nullptr ? nullptr : columns + group.column;
}

template <class Element>
HWY_INLINE Sums backward(const WeightRows& t, const Group& group, float* keep_bare, float* keep_moved) {
  const V steps_per_unit = set(t.now.shrink[group.scale] / t.now.scale[group.scale]);
  const Span span = span_of(t.grid, t.now.offset[group.scale]);
  const auto* gradient = static_cast<const Element*>(t.gradient) + group.begin;
  const float *w = t.w + group.begin, *s2 = t.s2.value + group.begin,
              *columns = at_column(t.column_now, group);
  struct Vectors {
    V moved, coded, outside;
  };
  const V zero = hn::Zero(Floats());
  const Vectors sums = sum_vectors(
      group.count, Vectors{zero, zero, zero}, [=](int64_t i, auto width, Vectors so_far) HWY_ATTR {
        const V bare = hn::Mul(load(w + i, width), exp_of_small(hn::Neg(load(s2 + i, width))));
        const V x = in_steps(bare, steps_per_unit, columns, i, width);
        const V rounded = hn::Round(x);
        const V code = hn::Min(hn::Max(rounded, span.lowest), span.highest);
        const V g = load(gradient + i, width);
        const V inside = hn::IfThenElseZero(hn::Eq(code, rounded), g);
        const V here = hn::Mul(inside, x);
        store(bare, keep_bare + i, width);
        store(here, keep_moved + i, width);
        return Vectors{hn::Add(so_far.moved, here), hn::MulAdd(g, code, so_far.coded),
                       hn::Add(so_far.outside, hn::Sub(g, inside))};
      });
  return {sum(sums.moved), sum(sums.coded), sum(sums.outside)};
}

/// scale clamp(round(x)). -0.0 + 0 = +0.0: a code knows one zero. NaN stays NaN, where min and max would hide
/// that training diverged.
HWY_INLINE V on_grid(V x, V scale, const Span& span) {
  const V code = hn::Min(hn::Max(hn::Round(x), span.lowest), span.highest);
  return hn::IfThenElse(hn::Eq(x, x), hn::MulAdd(code, scale, hn::Zero(Floats())), x);
}

/// What of the group. Divides where step_rows multiplies: at the start this is round-to-nearest to the last
/// bit.
template <class Element>
HWY_INLINE void quantize(const WeightRows& t, const Group& group) {
  const V scale = set(t.now.scale[group.scale]), shrink = set(t.now.shrink[group.scale]);
  const Span span = span_of(t.grid, t.now.offset[group.scale]);
  const float *w = t.w + group.begin, *s2 = t.s2.value + group.begin,
              *columns = at_column(t.column_now, group);
  auto* output = static_cast<Element*>(t.output) + group.begin;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    const V bare = hn::Mul(load(w + i, width), exp(hn::Neg(load(s2 + i, width))));
    store(on_grid(hn::Div(in_steps(bare, shrink, columns, i, width), scale), scale, span), output + i, width);
  });
}

/// Moves s2 of the group, then What of it by `next`.
template <class Element, class Step>
HWY_INLINE void advance(const WeightRows& t, const Step& step, const Group& group, float scale_before,
                        const float* bare, const float* moved) {
  const V scale = set(t.next.scale[group.scale]), scale_of_gradient = set(-scale_before);
  const V steps_per_unit = set(t.next.shrink[group.scale] / t.next.scale[group.scale]);
  const Span span = span_of(t.grid, t.next.offset[group.scale]);
  const V start_scale = set(t.start_scale[group.scale]);
  const float *w = t.w + group.begin, *columns = at_column(t.column_next, group);
  auto* output = static_cast<Element*>(t.output) + group.begin;
  const auto* gradient = static_cast<const Element*>(t.gradient) + group.begin;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    // This loop finds its data in the cache: memory may bring the next row's meanwhile.
    hwy::Prefetch(w + i + t.cols);
    hwy::Prefetch(t.s2.value + group.begin + i + t.cols);
    hwy::Prefetch(gradient + i + t.cols);
    const V length = Step::length_of(start_scale, w + i, width);
    const V down =
        step.move(t.s2, group.begin + i, width, hn::Mul(scale_of_gradient, load(moved + i, width)), length);
    const V x =
        in_steps(hn::Mul(load(bare + i, width), exp_of_small(down)), steps_per_unit, columns, i, width);
    store(on_grid(x, scale, span), output + i, width);
  });
}

/// min and max as learned, at scales i...
struct Clipped {
  V min, max;
};
template <class Width>
HWY_INLINE Clipped clip(const WeightRows& t, int64_t i, Width width) {
  return {hn::Mul(exp(load(t.beta.value + i, width)), load(t.min + i, width)),
          hn::Mul(exp(load(t.gamma.value + i, width)), load(t.max + i, width))};
}

HWY_INLINE V storable(V scale, const RowGrid& grid) {
  if (grid.scale_type == Stored::kHalf) scale = round_to_half(scale);
  if (grid.scale_type == Stored::kBFloat16) scale = round_to_bfloat16(scale);
  return hn::IfThenElse(hn::Eq(scale, scale), hn::Max(scale, set(grid.smallest_scale)), scale);
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

/// (max - min) / steps at scales i..., as learned: what is rounded to the scale.
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

/// Turns the gradients of a row's scales into those of what they are rounded from: straight through the
/// rounding of the integers, not through their clamp; the largest scale's makes the channel's.
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
  // Equals share it, as amax's gradient is shared.
  const auto equals = std::count(ideal.begin(), ideal.end(), largest);
  const float share = to_channel / (t.grid.block_scale_max * static_cast<float>(equals));
  for (int64_t k = 0; k < groups; ++k)
    if (ideal[k] == largest) to_scale[k] += share;
}

/// The step of gamma, beta and s3 at `count` scales, whose sums stand in three arrays, then their new affine.
template <class Step>
void step_scales(const WeightRows& t, const RowRule& rule, int64_t first, int64_t count, const float* to_s3,
                 const float* to_scale, const float* to_offset) {
  const Step clipping(rule, rule.scale_rate), rounding(rule, rule.rounding_rate);
  const V steps = set(t.grid.steps), one = set(1);
  for_vectors(count, [&](int64_t k, auto width) HWY_ATTR {
    const int64_t i = first + k;
    const auto [min, max] = clip(t, i, width);
    V slope = load(to_scale + k, width), to_min = hn::Zero(Floats());
    if (!t.grid.symmetric) {
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
  find_scales(t, first, count, t.next);
}

template <class Element>
void backward_row(const WeightRows& t, int64_t row, RowScratch& scratch) {
  for_groups(t, row, [&](const Group& group, int64_t k) HWY_ATTR {
    const Sums sums =
        backward<Element>(t, group, scratch.bare.data() + group.column, scratch.moved.data() + group.column);
    const float scale = t.now.scale[group.scale];
    scratch.to_s3[k] = -scale * sums.moved;
    scratch.to_scale[k] = sums.coded - sums.moved;
    scratch.to_offset[k] = sums.outside;
  });
}

template <class Element, class Step>
void step_rows_of(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  const int64_t groups = t.groups();
  RowScratch scratch(t);
  std::vector<float> scale_before(groups);
  const Step rounding(rule, rule.rounding_rate);
  for (int64_t row = first; row < last; ++row) {
    backward_row<Element>(t, row, scratch);
    for_groups(t, row,
               [&](const Group& group, int64_t k) HWY_ATTR { scale_before[k] = t.now.scale[group.scale]; });
    if (t.grid.block_scale_max > 0) through_shared_scale(t, row, scratch.to_scale.data());
    if (!t.one_scale)
      step_scales<Step>(t, rule, row * groups, groups, scratch.to_s3.data(), scratch.to_scale.data(),
                        scratch.to_offset.data());
    for_groups(t, row, [&](const Group& group, int64_t k) HWY_ATTR {
      advance<Element>(t, rounding, group, scale_before[k], scratch.bare.data() + group.column,
                       scratch.moved.data() + group.column);
    });
  }
}

template <class Element>
void sum_rows_of(const WeightRows& t, int64_t first, int64_t last, float* scales, float* columns) {
  RowScratch scratch(t);
  for (int64_t row = first; row < last; ++row) {
    backward_row<Element>(t, row, scratch);
    if (scales != nullptr)
      scales[0] += scratch.to_s3[0], scales[1] += scratch.to_scale[0], scales[2] += scratch.to_offset[0];
    if (columns == nullptr) continue;
    for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
      const V scale = set(t.now.scale[group.scale]);
      float* to_s4 = columns + group.column;
      for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
        const V moved = load(scratch.moved.data() + group.column + i, width);
        store(hn::NegMulAdd(scale, moved, load(to_s4 + i, width)), to_s4 + i, width);
      });
    });
  }
}

void find_affine_here(const WeightRows& t, int64_t first, int64_t last) {
  if (t.one_scale)
    find_scales(t, 0, 1, t.now);
  else
    find_scales(t, first * t.groups(), (last - first) * t.groups(), t.now);
}

void quantize_rows_here(const WeightRows& t, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
      if (t.output_type == Stored::kFloat)
        quantize<float>(t, group);
      else
        quantize<uint16_t>(t, group);
    });
  }
}

void sum_rows_here(const WeightRows& t, int64_t first, int64_t last, float* scales, float* columns) {
  if (t.output_type == Stored::kFloat)
    sum_rows_of<float>(t, first, last, scales, columns);
  else
    sum_rows_of<uint16_t>(t, first, last, scales, columns);
}

void step_rows_here(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  const bool wide = t.output_type == Stored::kFloat;
  if (rule.adam)
    (wide ? step_rows_of<float, AdamStep> : step_rows_of<uint16_t, AdamStep>)(t, rule, first, last);
  else
    (wide ? step_rows_of<float, SignedStep> : step_rows_of<uint16_t, SignedStep>)(t, rule, first, last);
}

void step_one_scale_here(const WeightRows& t, const RowRule& rule, const float* scales) {
  (rule.adam ? step_scales<AdamStep> : step_scales<SignedStep>)(t, rule, 0, 1, scales, scales + 1,
                                                                scales + 2);
}

template <class Step>
void step_values_of(const RowLearnable& learnable, const RowRule& rule, const float* gradient,
                    int64_t count) {
  const Step step(rule, rule.rounding_rate);
  for_vectors(count, [&](int64_t i, auto width) HWY_ATTR {
    step.move(learnable, i, width, load(gradient + i, width), set(kSharedStep));
  });
}

void step_values_here(const RowLearnable& learnable, const RowRule& rule, const float* gradient,
                      int64_t count) {
  (rule.adam ? step_values_of<AdamStep> : step_values_of<SignedStep>)(learnable, rule, gradient, count);
}

const char* target_here() {
  return hwy::TargetName(HWY_TARGET);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace adascale {

HWY_EXPORT(find_affine_here);
HWY_EXPORT(quantize_rows_here);
HWY_EXPORT(sum_rows_here);
HWY_EXPORT(step_rows_here);
HWY_EXPORT(step_one_scale_here);
HWY_EXPORT(step_values_here);
HWY_EXPORT(target_here);

void find_affine(const WeightRows& weight, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(find_affine_here)(weight, first, last);
}
void quantize_rows(const WeightRows& weight, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(quantize_rows_here)(weight, first, last);
}
void sum_rows(const WeightRows& weight, int64_t first, int64_t last, float* scales, float* columns) {
  HWY_DYNAMIC_DISPATCH(sum_rows_here)(weight, first, last, scales, columns);
}
void step_rows(const WeightRows& weight, const RowRule& rule, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(step_rows_here)(weight, rule, first, last);
}
void step_one_scale(const WeightRows& weight, const RowRule& rule, const float* scales) {
  HWY_DYNAMIC_DISPATCH(step_one_scale_here)(weight, rule, scales);
}
void step_values(const RowLearnable& learnable, const RowRule& rule, const float* gradient, int64_t count) {
  HWY_DYNAMIC_DISPATCH(step_values_here)(learnable, rule, gradient, count);
}
const char* kernel_target() {
  return HWY_DYNAMIC_DISPATCH(target_here)();
}

}  // namespace adascale
#endif
