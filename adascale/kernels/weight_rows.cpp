#include "adascale/kernels/weight_rows.h"

#include <vector>

// clang-format off: Highway wants its headers in this order.
// Three instruction sets are enough on x86: what every machine has, AVX2, AVX-512.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adascale/kernels/weight_rows.cpp"
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
  static V length_of(V start_scale, V w) {
    return hn::Min(hn::Div(start_scale, hn::Max(hn::Abs(w), set(kLeastWeight))), set(kLongestStep));
  }
  /// Moves elements i... and returns them.
  template <class Width>
  HWY_INLINE V move(const RowLearnable& p, int64_t i, Width width, V gradient, V length) const {
    const V zero = hn::Zero(Floats());
    const V down = hn::IfThenElseZero(hn::Lt(gradient, zero), length);
    const V moved = hn::NegMulAdd(rate, hn::Sub(hn::IfThenElseZero(hn::Gt(gradient, zero), length), down),
                                  load(p.value + i, width));
    store(moved, p.value + i, width);
    return moved;
  }
};

struct AdamStep {
  V rate, second_factor;

  AdamStep(const RowRule& rule, float scaled_rate)
      : rate(set(scaled_rate)), second_factor(set(rule.second_factor)) {}
  static V length_of(V, V) { return hn::Undefined(Floats()); }
  template <class Width>
  HWY_INLINE V move(const RowLearnable& p, int64_t i, Width width, V gradient, V) const {
    const V first = hn::MulAdd(set(0.9F), load(p.first + i, width), hn::Mul(set(0.1F), gradient));
    const V second =
        hn::MulAdd(set(0.999F), load(p.second + i, width), hn::Mul(set(0.001F), hn::Mul(gradient, gradient)));
    const V spread = hn::MulAdd(hn::Sqrt(second), second_factor, set(1e-8F));
    const V moved = hn::Sub(load(p.value + i, width), hn::Div(hn::Mul(rate, first), spread));
    store(first, p.first + i, width);
    store(second, p.second + i, width);
    store(moved, p.value + i, width);
    return moved;
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

/// W' = W exp(-s2) shrink [exp(-s4)].
template <class Width>
HWY_INLINE V divide(V w, V s2, V shrink, const float* column_shrink, Width width) {
  const V divided = hn::Mul(w, hn::Mul(exp(hn::Neg(s2)), shrink));
  return column_shrink == nullptr ? divided : hn::Mul(divided, load(column_shrink, width));
}

struct Sums {
  float s3 = 0, scale = 0, offset = 0;
};

/// dL/ds2 of the group into `to_s2`, and the sums that s3, scale and offset need (algorithm in
/// fake_quantize.h).
template <class Element>
HWY_INLINE Sums backward(const WeightRows& t, const Group& group, float* to_s2) {
  const V scale = set(t.now.scale[group.scale]), shrink = set(t.now.shrink[group.scale]);
  const Span span = span_of(t.grid, t.now.offset[group.scale]);
  const auto* gradient = static_cast<const Element*>(t.gradient) + group.begin;
  const float* columns = t.column_now == nullptr ? nullptr : t.column_now + group.column;
  V s3 = hn::Zero(Floats()), to_scale = s3, outside = s3;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    const V divided = divide(load(t.w + group.begin + i, width), load(t.s2.value + group.begin + i, width),
                             shrink, columns == nullptr ? nullptr : columns + i, width);
    const V x = hn::Div(divided, scale);
    const V rounded = hn::Round(x);
    const V code = hn::Min(hn::Max(rounded, span.lowest), span.highest);
    const V g = load(gradient + i, width);
    const V inside = hn::IfThenElseZero(hn::Eq(code, rounded), g);
    const V to_element = hn::Neg(hn::Mul(inside, divided));
    store(to_element, to_s2 + i, width);
    s3 = hn::Add(s3, to_element);
    to_scale = hn::Add(to_scale, hn::NegMulAdd(inside, x, hn::Mul(g, code)));
    outside = hn::Add(outside, hn::Sub(g, inside));
  });
  return {sum(s3), sum(to_scale), sum(outside)};
}

/// What of the group, the elements first moved down `to_s2` unless there is no step.
template <class Element, class Step>
HWY_INLINE void quantize(const WeightRows& t, const Group& group, const RowAffine& affine,
                         const float* column_shrink, const Step* step, const float* to_s2) {
  const V scale = set(affine.scale[group.scale]), shrink = set(affine.shrink[group.scale]);
  const Span span = span_of(t.grid, affine.offset[group.scale]);
  const V start_scale = set(step != nullptr && t.start_scale != nullptr ? t.start_scale[group.scale] : 0.0F);
  const float* columns = column_shrink == nullptr ? nullptr : column_shrink + group.column;
  auto* output = static_cast<Element*>(t.output) + group.begin;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    const V w = load(t.w + group.begin + i, width);
    const V s2 = step == nullptr ? load(t.s2.value + group.begin + i, width)
                                 : step->move(t.s2, group.begin + i, width, load(to_s2 + i, width),
                                              Step::length_of(start_scale, w));
    const V x = hn::Div(divide(w, s2, shrink, columns == nullptr ? nullptr : columns + i, width), scale);
    const V code = hn::Min(hn::Max(hn::Round(x), span.lowest), span.highest);
    // -0.0 + 0 = +0.0: a code knows one zero. NaN stays NaN, where min and max would hide that training
    // diverged.
    const V value = hn::Add(hn::Mul(code, scale), hn::Zero(Floats()));
    store(hn::IfThenElse(hn::Eq(x, x), value, x), output + i, width);
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
  return hn::Max(scale, set(grid.smallest_scale));
}

/// scale, offset and shrink of `count` scales from the learnables.
void find_scales(const WeightRows& t, int64_t first, int64_t count, const RowAffine& into) {
  for_vectors(count, [&](int64_t k, auto width) HWY_ATTR {
    const int64_t i = first + k;
    const auto [min, max] = clip(t, i, width);
    const V scale = storable(hn::Div(hn::Sub(max, min), set(t.grid.steps)), t.grid);
    const V position = hn::Round(hn::Div(min, scale));
    const V offset = hn::Min(hn::Max(position, set(-t.grid.steps)), hn::Zero(Floats()));
    store(scale, into.scale + i, width);
    store(t.grid.symmetric ? hn::Zero(Floats()) : offset, into.offset + i, width);
    store(exp(hn::Neg(load(t.s3.value + i, width))), into.shrink + i, width);
  });
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

template <class Element, class Step>
void step_rows_of(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  const int64_t groups = t.groups();
  std::vector<float> scratch(t.cols + 3 * groups);
  float *to_s2 = scratch.data(), *to_s3 = to_s2 + t.cols, *to_scale = to_s3 + groups,
        *to_offset = to_scale + groups;
  const Step rounding(rule, rule.rounding_rate);
  for (int64_t row = first; row < last; ++row) {
    for_groups(t, row, [&](const Group& group, int64_t k) HWY_ATTR {
      const Sums sums = backward<Element>(t, group, to_s2 + group.column);
      to_s3[k] = sums.s3, to_scale[k] = sums.scale, to_offset[k] = sums.offset;
    });
    if (!t.one_scale) step_scales<Step>(t, rule, row * groups, groups, to_s3, to_scale, to_offset);
    for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
      quantize<Element>(t, group, t.next, t.column_next, &rounding, to_s2 + group.column);
    });
  }
}

template <class Element>
void sum_rows_of(const WeightRows& t, int64_t first, int64_t last, float* scales, float* columns) {
  std::vector<float> to_s2(t.cols);
  for (int64_t row = first; row < last; ++row) {
    for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
      const Sums sums = backward<Element>(t, group, to_s2.data() + group.column);
      if (scales != nullptr) scales[0] += sums.s3, scales[1] += sums.scale, scales[2] += sums.offset;
    });
    if (columns == nullptr) continue;
    for_vectors(t.cols, [&](int64_t i, auto width) HWY_ATTR {
      store(hn::Add(load(columns + i, width), load(to_s2.data() + i, width)), columns + i, width);
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
  const SignedStep* none = nullptr;
  for (int64_t row = first; row < last; ++row) {
    for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
      if (t.output_type == Stored::kFloat)
        quantize<float>(t, group, t.now, t.column_now, none, nullptr);
      else
        quantize<uint16_t>(t, group, t.now, t.column_now, none, nullptr);
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
