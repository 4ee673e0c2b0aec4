#include "adascale/kernels/code_rows.h"

// clang-format off: Highway wants its headers in this order.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adascale/kernels/code_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "adascale/kernels/vectors-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace adascale {
namespace HWY_NAMESPACE {

template <class Code>
HWY_INLINE V load_codes(const Code* from, Whole) {
  const hn::RebindToSigned<Floats> words;
  return hn::ConvertTo(Floats(), hn::PromoteTo(words, hn::LoadU(hn::Rebind<Code, Floats>(), from)));
}
/// Zeros beyond the part.
template <class Code>
HWY_INLINE V load_codes(const Code* from, Part part) {
  HWY_ALIGN Code lanes[hn::MaxLanes(Floats())] = {};
  std::memcpy(lanes, from, part.lanes * sizeof(Code));
  return load_codes(lanes, Whole{});
}

/// body(begin, scale's place) for every group of the rows.
template <class Body>
HWY_INLINE void for_groups_of(const CodeRows& t, int64_t first, int64_t last, const Body& body) {
  const int64_t groups = t.groups();
  for (int64_t row = first; row < last; ++row)
    for (int64_t k = 0; k < groups; ++k) body(row * t.cols + k * t.group, row * groups + k);
}

template <class Code, class Element>
void dequantize_codes(const CodeRows& t, const Code* codes, Element* output, int64_t first, int64_t last) {
  for_groups_of(t, first, last, [&](int64_t begin, int64_t place) HWY_ATTR {
    const int64_t at = t.one_scale ? 0 : place;
    const V scale = set(t.scale[at]), offset = set(t.offset == nullptr ? 0 : t.offset[at]);
    const V minimum = set(t.minimum == nullptr ? 0 : t.minimum[at]);
    for_vectors(t.group, [&](int64_t i, auto width) HWY_ATTR {
      const V number = hn::Add(load_codes(codes + begin + i, width), offset);
      store(hn::MulAdd(number, scale, minimum), output + begin + i, width);
    });
  });
}

template <class Code, class Element>
void sum_codes(const CodeRows& t, const Code* codes, const Element* gradient, float* sums, int64_t first,
               int64_t last) {
  for_groups_of(t, first, last, [&](int64_t begin, int64_t place) HWY_ATTR {
    const V offset = set(t.offset == nullptr ? 0 : t.offset[t.one_scale ? 0 : place]);
    sums[place] = sum(sum_vectors(t.group, hn::Zero(Floats()), [&](int64_t i, auto width, V so_far) HWY_ATTR {
      const V number = hn::Add(load_codes(codes + begin + i, width), offset);
      return hn::MulAdd(load(gradient + begin + i, width), number, so_far);
    }));
  });
}

/// body(codes, element): the pointer, and a number of the type that `type` says.
template <class Body>
void with_types(const CodeRows& t, Stored type, const Body& body) {
  const auto with_codes = [&](auto element) {
    if (t.signed_codes != nullptr)
      body(t.signed_codes, element);
    else
      body(t.unsigned_codes, element);
  };
  if (type == Stored::kFloat)
    with_codes(float());
  else
    with_codes(uint16_t());
}

void dequantize_rows_here(const CodeRows& t, void* output, Stored type, int64_t first, int64_t last) {
  with_types(t, type, [&](auto* codes, auto element) {
    dequantize_codes(t, codes, static_cast<decltype(element)*>(output), first, last);
  });
}

void sum_by_scale_here(const CodeRows& t, const void* gradient, Stored type, float* sums, int64_t first,
                       int64_t last) {
  with_types(t, type, [&](auto* codes, auto element) {
    sum_codes(t, codes, static_cast<const decltype(element)*>(gradient), sums, first, last);
  });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace adascale
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace adascale {

HWY_EXPORT(dequantize_rows_here);
HWY_EXPORT(sum_by_scale_here);

void dequantize_rows(const CodeRows& codes, void* output, Stored type, int64_t first, int64_t last) {
  HWY_DYNAMIC_DISPATCH(dequantize_rows_here)(codes, output, type, first, last);
}
void sum_by_scale(const CodeRows& codes, const void* gradient, Stored type, float* sums, int64_t first,
                  int64_t last) {
  HWY_DYNAMIC_DISPATCH(sum_by_scale_here)(codes, gradient, type, sums, first, last);
}

}  // namespace adascale
#endif
