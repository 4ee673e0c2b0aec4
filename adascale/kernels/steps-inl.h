// The update rules of the recipes. Compiled once per instruction set.
#if defined(ADASCALE_KERNELS_STEPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ADASCALE_KERNELS_STEPS_INL_H_
#undef ADASCALE_KERNELS_STEPS_INL_H_
#else
#define ADASCALE_KERNELS_STEPS_INL_H_
#endif

#include <type_traits>

#include "adascale/kernels/vectors-inl.h"
#include "adascale/kernels/weight_rows.h"

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
  /// Moves elements i... and returns by how much they decreased.
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

/// Calls `body` with the type of the rule's steps, as std::type_identity; not at all for kStay.
template <class Body>
void with_step_of(UpdateRule update, const Body& body) {
  switch (update) {
    case UpdateRule::kStay:
      return;
    case UpdateRule::kAdam:
      return body(std::type_identity<AdamStep>());
    case UpdateRule::kSigned:
      return body(std::type_identity<SignedStep>());
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#endif
