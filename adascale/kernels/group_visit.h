#pragma once
#include "adascale/kernels/row_terms.h"

// The visit of a weight in training on a GPU: backward of the fake-quantizer, the step of its learnables, the next w_dq.
// Some threads take a group of elements that share a scale and hold them in registers meanwhile: of a bf16 weight
// 14 bytes an element pass through memory, each once. The algorithm is that of weight_rows.cpp.
//
// Two compilers read this file: the GPU's, when a program runs (quant/group_kernels.cpp), and the host's, with
// one thread, so that tests need no GPU.

#ifdef __CUDACC_RTC__
#define ADASCALE_UNROLL _Pragma("unroll")  // or arrays indexed in the loop are in memory, not in registers
#else
#include <bit>
#include <cmath>
#define ADASCALE_UNROLL
#endif

namespace adascale {

/// A weight in training where each scale belongs to `group` elements of one row (the last of a row may have fewer). The
/// caller owns the memory. Row-major [rows, cols]: w, s2, gradient, output. [rows, groups]: all others.
struct GroupVisit {
  long long rows = 0, cols = 0, group = 0;
  RowGrid grid;
  RowRule rule;
  const void* w = nullptr;
  const void* gradient = nullptr;  ///< of the loss in `output`; its type
  void* output = nullptr;          ///< w_dq
  const float *min = nullptr, *max = nullptr, *start_scale = nullptr;
  RowLearnable s2, s3, beta, gamma;
  RowAffine now;

  long long groups() const { return (cols + group - 1) / group; }
};

namespace visit {

// --- What the two compilers call differently

#ifdef __CUDACC_RTC__
inline unsigned bits_of(float x) {
  return __float_as_uint(x);
}
inline float float_of(unsigned bits) {
  return __uint_as_float(bits);
}
/// As good as expf near 0, where s2 is.
inline float quick_exp(float x) {
  return __expf(x);
}
inline float quick_ratio(float x, float y) {
  return __fdividef(x, y);
}
#else
inline unsigned bits_of(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float float_of(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline float quick_exp(float x) {
  return expf(x);
}
inline float quick_ratio(float x, float y) {
  return x / y;
}
#endif

// --- Numbers in memory

using Float = float;
struct BFloat16 {
  unsigned short bits;
};

/// The word with its lowest `kBits` rounded away, half to even.
template <int kBits>
unsigned round_word(float x) {
  const unsigned bits = bits_of(x);
  return bits + ((1U << (kBits - 1)) - 1) + (bits >> kBits & 1U);
}

inline float widen(float stored) {
  return stored;
}
inline float widen(BFloat16 stored) {
  return float_of(static_cast<unsigned>(stored.bits) << 16);
}
inline void narrow(float x, float& stored) {
  stored = x;
}
inline void narrow(float x, BFloat16& stored) {
  stored.bits = x == x ? static_cast<unsigned short>(round_word<16>(x) >> 16) : 0x7FC0;
}

/// Neighbours, loaded and stored at once.
template <class T, int kCount>
struct alignas(kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16) Chunk {
  T at[kCount];
};

/// Rounds a nonnegative number to one of fp16: to multiples of 2^-24 below its smallest normal number.
inline float round_to_half(float x) {
  if (x < 0x1p-14F) return rintf(x * 0x1p24F) * 0x1p-24F;
  const float rounded = float_of(round_word<13>(x) & ~0x1FFFU);
  return rounded > 65504.0F ? float_of(0x7F800000U) : rounded;
}

/// A scale may be negative, where the grid has signed ones.
inline float storable(float scale, const RowGrid& grid) {
  if (scale != scale) return scale;
  float length = fabsf(scale);
  if (grid.scale_type == Stored::kHalf) length = round_to_half(length);
  if (grid.scale_type == Stored::kBFloat16) length = float_of(round_word<16>(length) & ~0xFFFFU);
  return copysignf(fmaxf(length, grid.smallest_scale), scale);
}

// --- Steps

struct SignedStep {
  float rate;

  SignedStep(const RowRule&, float scaled_rate) : rate(scaled_rate) {}
  static float length_of(float start_scale, float w) {
    return fminf(quick_ratio(start_scale, fmaxf(fabsf(w), kLeastWeight)), kLongestStep);
  }
  /// By how much element i decreases; NaN where the gradient is not finite.
  float down(const RowLearnable&, long long, float gradient, float length) const {
    return (gradient == 0 ? 0.0F : copysignf(rate * length, gradient)) + gradient * 0.0F;
  }
};

struct AdamStep {
  float rate, second_factor;

  AdamStep(const RowRule& rule, float scaled_rate) : rate(scaled_rate), second_factor(rule.second_factor) {}
  static float length_of(float, float) { return 0; }  // not used
  float down(const RowLearnable& p, long long i, float gradient, float) const {
    const float first = 0.9F * p.first[i] + 0.1F * gradient;
    const float second = 0.999F * p.second[i] + 0.001F * (gradient * gradient);
    p.first[i] = first;
    p.second[i] = second;
    return rate * first / (sqrtf(second) * second_factor + 1e-8F);
  }
};

// --- One scale

struct Affine {
  float scale, offset, shrink;
};

/// The sums over a group (algorithm in quant/fake_quantize.h).
struct Sums {
  float moved;    ///< of g x inside the grid: -dL/ds3 over scale
  float coded;    ///< of g c; less `moved`, dL/dscale
  float outside;  ///< of g outside the grid: dL/doffset over scale
};

/// Codes, offset included, span [lowest, highest].
struct Span {
  float lowest, highest;

  Span(const RowGrid& grid, const Affine& affine)
      : lowest(grid.symmetric ? grid.qmin : affine.offset), highest(lowest + grid.steps) {}
  float code(float rounded) const { return fminf(fmaxf(rounded, lowest), highest); }
};

inline Affine load_affine(const GroupVisit& t, long long i) {
  return {t.now.scale[i], t.now.offset[i], t.now.shrink[i]};
}

/// Scale i's affine from its learnables; also stores it.
inline Affine find_affine(const GroupVisit& t, long long i) {
  const float min = expf(t.beta.value[i]) * t.min[i], max = expf(t.gamma.value[i]) * t.max[i];
  const float scale = storable((max - min) / t.grid.steps, t.grid);
  const float offset = t.grid.symmetric ? 0 : fminf(fmaxf(rintf(min / scale), -t.grid.steps), 0);
  const Affine found{scale, offset, expf(-t.s3.value[i])};
  t.now.scale[i] = found.scale;
  t.now.offset[i] = found.offset;
  t.now.shrink[i] = found.shrink;
  return found;
}

/// The step of gamma, beta and s3 of scale i; then its new affine.
template <class Step>
Affine step_scale(const GroupVisit& t, long long i, const Affine& now, const Sums& sums) {
  const Step clipping(t.rule, t.rule.scale_rate), rounding(t.rule, t.rule.rounding_rate);
  const float min = expf(t.beta.value[i]) * t.min[i], max = expf(t.gamma.value[i]) * t.max[i];
  float slope = sums.coded - sums.moved, to_min = 0;
  if (!t.grid.symmetric) {
    // offset = min / scale, straight through its rounding.
    slope -= sums.outside * (min / now.scale);
    to_min = sums.outside;
  }
  const float to_max = slope / t.grid.steps;
  t.gamma.value[i] -= clipping.down(t.gamma, i, to_max * max, 1);
  t.beta.value[i] -= clipping.down(t.beta, i, (to_min - to_max) * min, 1);
  t.s3.value[i] -= rounding.down(t.s3, i, -now.scale * sums.moved, kSharedStep);
  return find_affine(t, i);
}

// --- One group

/// scale clamp(round(x)). -0.0 + 0 = +0.0: there is one code 0, and times a negative scale it is -0.0. NaN stays NaN, to
/// be seen.
inline float on_grid(float x, float scale, const Span& span) {
  return x == x ? (span.code(rintf(x)) + 0.0F) * scale : x;
}

struct Group {
  long long begin, count, scale;
};

/// The threads' group; without elements where there is none left.
template <class Threads>
Group group_of(const GroupVisit& t, const Threads& threads) {
  const long long groups = t.groups(), scale = threads.group();
  if (scale >= t.rows * groups) return {0, 0, 0};
  const long long row = scale / groups, column = (scale - row * groups) * t.group;
  return {row * t.cols + column, t.group < t.cols - column ? t.group : t.cols - column, scale};
}

template <class T, int kChunk>
const Chunk<T, kChunk>& chunk_at(const T* p, long long i) {
  return *reinterpret_cast<const Chunk<T, kChunk>*>(p + i);
}
template <class T, int kChunk>
void put_chunk(const Chunk<T, kChunk>& chunk, T* p, long long i) {
  *reinterpret_cast<Chunk<T, kChunk>*>(p + i) = chunk;
}

/// The affine and w_dq of the threads' group, from the learnables. Divides where step_group multiplies: at the start this
/// is round-to-nearest to the last bit.
template <class W, class Out, int kChunk, class Threads>
void quantize_group(const GroupVisit& t, const Threads& threads) {
  const Group group = group_of(t, threads);
  Affine now{};
  if (threads.leads() && group.count > 0) now = find_affine(t, group.scale);
  now = threads.share(now);
  const Span span(t.grid, now);
  for (long long i = threads.rank() * kChunk; i < group.count; i += threads.size() * kChunk) {
    const auto w = chunk_at<W, kChunk>(static_cast<const W*>(t.w), group.begin + i);
    const auto s2 = chunk_at<float, kChunk>(t.s2.value, group.begin + i);
    Chunk<Out, kChunk> out;
    for (int k = 0; k < kChunk; ++k) {
      const float bare = widen(w.at[k]) * expf(-s2.at[k]);
      narrow(on_grid(bare * now.shrink / now.scale, now.scale, span), out.at[k]);
    }
    put_chunk(out, static_cast<Out*>(t.output), group.begin + i);
  }
}

/// One step of the threads' group, of which each thread holds up to `kHeld` chunks.
template <class W, class Out, class Step, int kChunk, int kHeld, class Threads>
void step_group(const GroupVisit& t, const Threads& threads) {
  const Group group = group_of(t, threads);
  Chunk<W, kChunk> w[kHeld];
  Chunk<Out, kChunk> gradient[kHeld];
  Chunk<float, kChunk> s2[kHeld];
  const auto for_held = [&](const auto& body) {
    ADASCALE_UNROLL for (int held = 0; held < kHeld; ++held) {
      const long long i = (held * threads.size() + threads.rank()) * kChunk;
      if (i < group.count) body(held, group.begin + i);
    }
  };
  for_held([&](int held, long long at) {
    w[held] = chunk_at<W, kChunk>(static_cast<const W*>(t.w), at);
    gradient[held] = chunk_at<Out, kChunk>(static_cast<const Out*>(t.gradient), at);
    s2[held] = chunk_at<float, kChunk>(t.s2.value, at);
  });

  const Affine now = load_affine(t, group.scale);
  const float start_scale = t.start_scale[group.scale];
  const float steps_per_unit = now.shrink / now.scale;
  const Span span(t.grid, now);
  Sums sums{};
  for_held([&](int held, long long) {
    for (int k = 0; k < kChunk; ++k) {
      const float x = widen(w[held].at[k]) * quick_exp(-s2[held].at[k]) * steps_per_unit;
      const float rounded = rintf(x), code = span.code(rounded), g = widen(gradient[held].at[k]);
      const float inside = code == rounded ? g : 0;
      sums.moved += inside * x;
      sums.coded += g * code;
      sums.outside += g - inside;
    }
  });
  sums = threads.sum(sums);

  Affine next{};
  if (threads.leads() && group.count > 0) next = step_scale<Step>(t, group.scale, now, sums);
  next = threads.share(next);
  const float next_per_unit = next.shrink / next.scale;
  const Span next_span(t.grid, next);
  const Step rounding(t.rule, t.rule.rounding_rate);
  for_held([&](int held, long long at) {
    Chunk<Out, kChunk> out;
    for (int k = 0; k < kChunk; ++k) {
      const float weight = widen(w[held].at[k]), bare = weight * quick_exp(-s2[held].at[k]);
      const float x = bare * steps_per_unit, rounded = rintf(x);
      const float inside = span.code(rounded) == rounded ? widen(gradient[held].at[k]) : 0;
      const float down =
          rounding.down(t.s2, at + k, -now.scale * (inside * x), Step::length_of(start_scale, weight));
      s2[held].at[k] -= down;
      narrow(on_grid(bare * quick_exp(down) * next_per_unit, next.scale, next_span), out.at[k]);
    }
    put_chunk(s2[held], t.s2.value, at);
    put_chunk(out, static_cast<Out*>(t.output), at);
  });
}

#ifdef __CUDACC_RTC__

/// Lanes of a warp, a power of two.
template <int kLanes>
struct Lanes {
  long long group() const { return (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / kLanes; }
  long long rank() const { return threadIdx.x % kLanes; }
  long long size() const { return kLanes; }
  bool leads() const { return rank() == 0; }
  float sum(float x) const {
    for (int apart = kLanes / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(~0U, x, apart);
    return x;
  }
  Sums sum(const Sums& s) const { return {sum(s.moved), sum(s.coded), sum(s.outside)}; }
  float share(float x) const { return __shfl_sync(~0U, x, 0, kLanes); }
  Affine share(const Affine& a) const { return {share(a.scale), share(a.offset), share(a.shrink)}; }
};

/// A block of threads, a multiple of a warp.
template <int kThreads>
struct WholeBlock {
  long long group() const { return blockIdx.x; }
  long long rank() const { return threadIdx.x; }
  long long size() const { return kThreads; }
  bool leads() const { return threadIdx.x == 0; }
  Sums sum(const Sums& s) const {
    __shared__ Sums of_warps[kThreads / 32];
    const Sums here = Lanes<32>().sum(s);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = here;
    __syncthreads();
    Sums all{};
    for (int i = 0; i < kThreads / 32; ++i) {
      all.moved += of_warps[i].moved;
      all.coded += of_warps[i].coded;
      all.outside += of_warps[i].outside;
    }
    return all;
  }
  Affine share(const Affine& a) const {
    __shared__ float shared[3];
    if (leads()) shared[0] = a.scale, shared[1] = a.offset, shared[2] = a.shrink;
    __syncthreads();
    return {shared[0], shared[1], shared[2]};
  }
};

#endif

}  // namespace visit
}  // namespace adascale

#ifdef __CUDACC_RTC__

// The program's options say what these names stand for.
namespace here = adascale::visit;

extern "C" __global__ void __launch_bounds__(ADASCALE_THREADS) quantize_groups(const adascale::GroupVisit t) {
  here::quantize_group<here::ADASCALE_WEIGHT, here::ADASCALE_OUTPUT, ADASCALE_CHUNK>(
      t, here::ADASCALE_SHARERS());
}
extern "C" __global__ void __launch_bounds__(ADASCALE_THREADS) step_groups(const adascale::GroupVisit t) {
  here::step_group<here::ADASCALE_WEIGHT, here::ADASCALE_OUTPUT, here::ADASCALE_STEP, ADASCALE_CHUNK,
                   ADASCALE_HELD>(t, here::ADASCALE_SHARERS());
}

#endif
