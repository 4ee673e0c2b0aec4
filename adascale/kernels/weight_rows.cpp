#include "adascale/kernels/weight_rows.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

// clang-format off: Highway wants its headers in this order.
// Three instruction sets are enough on x86: the baseline of every machine, AVX2, AVX-512.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adascale/kernels/weight_rows.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "adascale/kernels/scales-inl.h"
#include "adascale/kernels/steps-inl.h"
#include "adascale/kernels/vectors-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

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

/// body(std::true_type()) where the affine has minima, else body(std::false_type()).
template <class Body>
HWY_INLINE void with_minimum_or_without(const RowAffine& affine, const Body& body) {
  if (affine.minimum == nullptr)
    body(std::false_type());
  else
    body(std::true_type());
}

/// The terms of the sums over a group (algorithm in fake_quantize.h). x is W' over scale.
struct Sums {
  float moved = 0;    ///< of g x inside the grid: -dL/ds3 over scale
  float coded = 0;    ///< of g c, and of g minimum / scale inside; less `moved`, dL/dscale
  float outside = 0;  ///< of g outside the grid: dL/doffset over scale, or dL/dminimum
};

/// The state of a row between the two loops of a visit.
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

template <class Element, bool kHasMinimum>
HWY_INLINE Sums backward(const WeightRows& t, const Group& group, float* keep_bare, float* keep_moved) {
  const V steps_per_unit = set(t.now.shrink[group.scale] / t.now.scale[group.scale]);
  const Span span = span_of(t.grid, t.now.offset[group.scale]);
  const V from = set(kHasMinimum ? t.now.minimum[group.scale] / t.now.scale[group.scale] : 0);
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
        const V rounded = hn::Round(kHasMinimum ? hn::Sub(x, from) : x);
        const V code = hn::Min(hn::Max(rounded, span.lowest), span.highest);
        const V g = load(gradient + i, width);
        const V inside = hn::IfThenElseZero(hn::Eq(code, rounded), g);
        const V here = hn::Mul(inside, x);
        store(bare, keep_bare + i, width);
        store(here, keep_moved + i, width);
        const V coded = kHasMinimum ? hn::MulAdd(inside, from, so_far.coded) : so_far.coded;
        return Vectors{hn::Add(so_far.moved, here), hn::MulAdd(g, code, coded),
                       hn::Add(so_far.outside, hn::Sub(g, inside))};
      });
  return {sum(sums.moved), sum(sums.coded), sum(sums.outside)};
}

/// scale clamp(round(x)). -0.0 + 0 = +0.0: there is one code 0, and times a negative scale it is -0.0. NaN stays NaN: min and max
/// would hide that training diverged.
HWY_INLINE V on_grid(V x, V scale, const Span& span) {
  const V code = hn::Min(hn::Max(hn::Round(x), span.lowest), span.highest);
  return hn::IfThenElse(hn::Eq(x, x), hn::Mul(hn::Add(code, hn::Zero(Floats())), scale), x);
}

/// w_dq of the group. Divides where step_rows multiplies: at the start this is
/// round-to-nearest to the last bit.
template <class Element, bool kHasMinimum>
HWY_INLINE void quantize(const WeightRows& t, const Group& group) {
  const V scale = set(t.now.scale[group.scale]), shrink = set(t.now.shrink[group.scale]);
  const V minimum = set(kHasMinimum ? t.now.minimum[group.scale] : 0);
  const Span span = span_of(t.grid, t.now.offset[group.scale]);
  const float *w = t.w + group.begin, *s2 = t.s2.value + group.begin,
              *columns = at_column(t.column_now, group);
  auto* output = static_cast<Element*>(t.output) + group.begin;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    const V bare = hn::Mul(load(w + i, width), exp(hn::Neg(load(s2 + i, width))));
    const V divided = in_steps(bare, shrink, columns, i, width);
    const V above = kHasMinimum ? hn::Sub(divided, minimum) : divided;
    const V value = on_grid(hn::Div(above, scale), scale, span);
    store(kHasMinimum ? hn::Add(value, minimum) : value, output + i, width);
  });
}

/// Moves s2 of the group, then computes its w_dq by `next`.
template <class Element, bool kHasMinimum, class Step>
HWY_INLINE void advance(const WeightRows& t, const Step& step, const Group& group, float scale_before,
                        const float* bare, const float* moved) {
  const V scale = set(t.next.scale[group.scale]), scale_of_gradient = set(-scale_before);
  const V steps_per_unit = set(t.next.shrink[group.scale] / t.next.scale[group.scale]);
  const Span span = span_of(t.grid, t.next.offset[group.scale]);
  const V minimum = set(kHasMinimum ? t.next.minimum[group.scale] : 0);
  const V from = set(kHasMinimum ? t.next.minimum[group.scale] / t.next.scale[group.scale] : 0);
  const V start_scale = set(t.start_scale[group.scale]);
  const float *w = t.w + group.begin, *columns = at_column(t.column_next, group);
  auto* output = static_cast<Element*>(t.output) + group.begin;
  const auto* gradient = static_cast<const Element*>(t.gradient) + group.begin;
  for_vectors(group.count, [&](int64_t i, auto width) HWY_ATTR {
    // This loop finds its data in the cache, so memory is free to fetch the next row.
    hwy::Prefetch(w + i + t.cols);
    hwy::Prefetch(t.s2.value + group.begin + i + t.cols);
    hwy::Prefetch(gradient + i + t.cols);
    const V length = Step::length_of(start_scale, w + i, width);
    const V down =
        step.move(t.s2, group.begin + i, width, hn::Mul(scale_of_gradient, load(moved + i, width)), length);
    const V x =
        in_steps(hn::Mul(load(bare + i, width), exp_of_small(down)), steps_per_unit, columns, i, width);
    const V value = on_grid(kHasMinimum ? hn::Sub(x, from) : x, scale, span);
    store(kHasMinimum ? hn::Add(value, minimum) : value, output + i, width);
  });
}

template <class Element>
void backward_row(const WeightRows& t, int64_t row, RowScratch& scratch) {
  with_minimum_or_without(t.now, [&](auto has_minimum) HWY_ATTR {
    for_groups(t, row, [&](const Group& group, int64_t k) HWY_ATTR {
      const Sums sums = backward<Element, has_minimum>(t, group, scratch.bare.data() + group.column,
                                                       scratch.moved.data() + group.column);
      const float scale = t.now.scale[group.scale];
      scratch.to_s3[k] = -scale * sums.moved;
      scratch.to_scale[k] = sums.coded - sums.moved;
      scratch.to_offset[k] = sums.outside;
    });
  });
}

template <class Element>
bool has_no_gradient(const WeightRows& t, int64_t row) {
  const Element* gradient = static_cast<const Element*>(t.gradient) + row * t.cols;
  // Equal neighbours; memcmp is faster than any loop that can end early.
  return *gradient == Element(0) && std::memcmp(gradient, gradient + 1, (t.cols - 1) * sizeof(Element)) == 0;
}

/// Signed steps of no gradient are none. An expert to which no token was sent has many such rows.
template <class Element, class Step>
bool stays(const WeightRows& t, int64_t row) {
  return std::is_same_v<Step, SignedStep> && !t.one_scale && t.column_next == nullptr &&
         t.grid.block_scale_max == 0 && has_no_gradient<Element>(t, row);
}

template <class Element, class Step>
void step_rows_of(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  const int64_t groups = t.groups();
  RowScratch scratch(t);
  std::vector<float> scale_before(groups);
  const Step rounding(rule, rule.rounding_rate);
  for (int64_t row = first; row < last; ++row) {
    if (stays<Element, Step>(t, row)) continue;
    backward_row<Element>(t, row, scratch);
    for_groups(t, row,
               [&](const Group& group, int64_t k) HWY_ATTR { scale_before[k] = t.now.scale[group.scale]; });
    if (t.grid.block_scale_max > 0) through_shared_scale(t, row, scratch.to_scale.data());
    if (!t.one_scale && !t.scales_apart)
      step_scales<Step>(t, rule, row * groups, groups, scratch.to_s3.data(), scratch.to_scale.data(),
                        scratch.to_offset.data());
    with_minimum_or_without(t.next, [&](auto has_minimum) HWY_ATTR {
      for_groups(t, row, [&](const Group& group, int64_t k) HWY_ATTR {
        advance<Element, has_minimum>(t, rounding, group, scale_before[k], scratch.bare.data() + group.column,
                                      scratch.moved.data() + group.column);
      });
    });
  }
}

template <class Element, class Step>
void step_ranges_of(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  const int64_t groups = t.groups();
  RowScratch scratch(t);
  for (int64_t row = first; row < last; ++row) {
    if (stays<Element, Step>(t, row)) continue;
    backward_row<Element>(t, row, scratch);
    step_scales<Step>(t, rule, row * groups, groups, scratch.to_s3.data(), scratch.to_scale.data(),
                      scratch.to_offset.data());
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
  with_minimum_or_without(t.now, [&](auto has_minimum) HWY_ATTR {
    for (int64_t row = first; row < last; ++row) {
      for_groups(t, row, [&](const Group& group, int64_t) HWY_ATTR {
        if (t.output_type == Stored::kFloat)
          quantize<float, has_minimum>(t, group);
        else
          quantize<uint16_t, has_minimum>(t, group);
      });
    }
  });
}

void sum_rows_here(const WeightRows& t, int64_t first, int64_t last, float* scales, float* columns) {
  if (t.output_type == Stored::kFloat)
    sum_rows_of<float>(t, first, last, scales, columns);
  else
    sum_rows_of<uint16_t>(t, first, last, scales, columns);
}

/// body(an element of the output's type, a holder of the rule's step type).
template <class Body>
void with_element_and_step(const WeightRows& t, const RowRule& rule, const Body& body) {
  with_step_of(rule.update, [&](auto step) {
    if (t.output_type == Stored::kFloat)
      body(float(), step);
    else
      body(uint16_t(), step);
  });
}

void step_ranges_here(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  with_element_and_step(t, rule, [&](auto element, auto step) {
    step_ranges_of<decltype(element), typename decltype(step)::type>(t, rule, first, last);
  });
}

void step_rows_here(const WeightRows& t, const RowRule& rule, int64_t first, int64_t last) {
  with_element_and_step(t, rule, [&](auto element, auto step) {
    step_rows_of<decltype(element), typename decltype(step)::type>(t, rule, first, last);
  });
}

void step_one_scale_here(const WeightRows& t, const RowRule& rule, const float* scales) {
  with_step_of(rule.update, [&](auto step) {
    step_scales<typename decltype(step)::type>(t, rule, 0, 1, scales, scales + 1, scales + 2);
  });
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
  with_step_of(rule.update, [&](auto step) {
    step_values_of<typename decltype(step)::type>(learnable, rule, gradient, count);
  });
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
HWY_EXPORT(step_ranges_here);
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
void step_ranges(const WeightRows& weight, const RowRule& rule, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(step_ranges_here)(weight, rule, first, last);
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
