// Loops over vectors of fp32, of which the last may be partial. Compiled once per instruction set,
// so Highway's own kind of include guard is the only one.
#if defined(ADASCALE_KERNELS_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ADASCALE_KERNELS_VECTORS_INL_H_
#undef ADASCALE_KERNELS_VECTORS_INL_H_
#else
#define ADASCALE_KERNELS_VECTORS_INL_H_
#endif

#include <cstring>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;
using V = hn::Vec<Floats>;

/// A whole vector, or the first `lanes` of one.
struct Whole {};
struct Part {
  size_t lanes;
};

HWY_INLINE V set(float x) {
  return hn::Set(Floats(), x);
}

HWY_INLINE V load(const float* from, Whole) {
  return hn::LoadU(Floats(), from);
}
/// Zeros beyond the part.
HWY_INLINE V load(const float* from, Part part) {
  HWY_ALIGN float lanes[hn::MaxLanes(Floats())] = {};
  std::memcpy(lanes, from, part.lanes * sizeof(float));
  return hn::Load(Floats(), lanes);
}
HWY_INLINE void store(V v, float* to, Whole) {
  hn::StoreU(v, Floats(), to);
}
HWY_INLINE void store(V v, float* to, Part part) {
  HWY_ALIGN float lanes[hn::MaxLanes(Floats())];
  hn::Store(v, Floats(), lanes);
  std::memcpy(to, lanes, part.lanes * sizeof(float));
}

using HalfWords = hn::Vec<Halves>;

HWY_INLINE V widen(HalfWords bits) {
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), bits)));
}
/// The word with its lowest `kBits` rounded away, half to even.
template <int kBits>
HWY_INLINE hn::Vec<Words> round_word(V v) {
  const auto bits = hn::BitCast(Words(), v);
  const auto odd = hn::And(hn::ShiftRight<kBits>(bits), hn::Set(Words(), 1));
  return hn::Add(hn::Add(bits, hn::Set(Words(), (1u << (kBits - 1)) - 1)), odd);
}
HWY_INLINE HalfWords narrow(V v) {
  const auto bits = hn::ShiftRight<16>(round_word<16>(v));
  return hn::DemoteTo(Halves(), hn::BitCast(hn::RebindToSigned<Words>(), bits));
}

/// bf16 in memory.
HWY_INLINE V load(const uint16_t* from, Whole) {
  return widen(hn::LoadU(Halves(), from));
}
HWY_INLINE V load(const uint16_t* from, Part part) {
  HWY_ALIGN uint16_t lanes[hn::MaxLanes(Floats())] = {};
  std::memcpy(lanes, from, part.lanes * sizeof(uint16_t));
  return widen(hn::Load(Halves(), lanes));
}
HWY_INLINE void store(V v, uint16_t* to, Whole) {
  hn::StoreU(narrow(v), Halves(), to);
}
HWY_INLINE void store(V v, uint16_t* to, Part part) {
  HWY_ALIGN uint16_t lanes[hn::MaxLanes(Floats())];
  hn::Store(narrow(v), Halves(), lanes);
  std::memcpy(to, lanes, part.lanes * sizeof(uint16_t));
}

/// body(i, Whole or Part) for every vector of `count` elements.
template <class Body>
HWY_INLINE void for_vectors(int64_t count, const Body& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(i, Whole{});
  if (i < count) body(i, Part{static_cast<size_t>(count - i)});
}

/// The same with sums in registers, which body(i, width, sums) returns updated.
template <class Sums, class Body>
HWY_INLINE Sums sum_vectors(int64_t count, Sums sums, const Body& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sums = body(i, Whole{}, sums);
  return i < count ? body(i, Part{static_cast<size_t>(count - i)}, sums) : sums;
}

HWY_INLINE float sum(V v) {
  return hn::GetLane(hn::SumOfLanes(Floats(), v));
}

/// Highway's exp takes up to 104 and turns NaN into 0.
HWY_INLINE V exp(V x) {
  return hn::IfThenElse(hn::Eq(x, x), hn::Exp(Floats(), hn::Min(x, set(90.0F))), x);
}

/// Within 1e-7, by its Taylor series while all of |x| is below 1/4, as in a step of training.
HWY_INLINE V exp_of_small(V x) {
  if (!hn::AllTrue(Floats(), hn::Lt(hn::Abs(x), set(0.25F)))) return exp(x);
  V y = hn::MulAdd(x, set(1.0F / 720), set(1.0F / 120));
  y = hn::MulAdd(x, y, set(1.0F / 24));
  y = hn::MulAdd(x, y, set(1.0F / 6));
  y = hn::MulAdd(x, y, set(0.5F));
  y = hn::MulAdd(x, y, set(1.0F));
  return hn::MulAdd(x, y, set(1.0F));
}

/// Within 1e-6: one Newton step from the machine's estimate. The input must be finite.
HWY_INLINE V reciprocal(V x) {
  const V estimate = hn::ApproximateReciprocal(x);
  return hn::Mul(estimate, hn::NegMulAdd(x, estimate, set(2.0F)));
}

/// Rounds nonnegative fp32 to fp16 values: multiples of 2^-24 below its smallest normal number.
HWY_INLINE V round_to_half(V v) {
  const V fine = hn::Mul(hn::Round(hn::Mul(v, set(0x1p24F))), set(0x1p-24F));
  const V normal = hn::BitCast(Floats(), hn::AndNot(hn::Set(Words(), 0x1FFF), round_word<13>(v)));
  const V rounded = hn::IfThenElse(hn::Lt(v, set(0x1p-14F)), fine, normal);
  return hn::IfThenElse(hn::Gt(rounded, set(65504.0F)), hn::Inf(Floats()), rounded);
}
HWY_INLINE V round_to_bfloat16(V v) {
  return hn::BitCast(Floats(), hn::AndNot(hn::Set(Words(), 0xFFFF), round_word<16>(v)));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#endif
