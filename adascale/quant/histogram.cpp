#include "adascale/quant/histogram.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/affine.h"

namespace adascale {
namespace {

constexpr int kOctaves = 24, kMantissaBits = 8;
constexpr int kFp32MantissaBits = 23, kFp32Bias = 127;
constexpr int kLeastTop = -100;  // its least bin is still a normal number
constexpr int64_t kPerOctave = 1 << kMantissaBits;
constexpr int64_t kBins = 1 + kOctaves * kPerOctave;  // of a sign; the first one is nearly zero
// A chunk and its bins fit the cache.
constexpr int64_t kChunk = int64_t{1} << 20;

/// The bits of a positive fp32 number, read as an integer, ascend with it: without the lower mantissa bits they number the
/// bins. Those of negative values come behind all of the positive ones.
at::Tensor bins_of(const at::Tensor& values, int top) {
  if (values.scalar_type() == c10::ScalarType::Double && top != 0)  // which may be beyond fp32
    return bins_of(values.mul(std::ldexp(1.0, -top)), 0);
  const at::Tensor bits = values.to(c10::ScalarType::Float).view(c10::ScalarType::Int);
  const int64_t last = (top + kFp32Bias) * kPerOctave - 1;
  const at::Tensor above = bits.bitwise_and(0x7fffffff)
                               .bitwise_right_shift(kFp32MantissaBits - kMantissaBits)
                               .sub_(last - (kBins - 1))
                               .clamp_(0, kBins - 1);
  return above.add_(bits.lt(0), kBins);
}

}  // namespace

void Histogram::include(double min, double max) {
  const double largest = std::max(-min, max);
  int top = kLeastTop;
  if (largest > 0) std::frexp(largest, &top);
  if (!counts_.defined()) {
    counts_ = at::zeros({2, kBins}, at::TensorOptions(c10::ScalarType::Double));
    top_ = std::max(top, kLeastTop);
    min_ = min;
    max_ = max;
  }
  min_ = std::min(min_, min);
  max_ = std::max(max_, max);
  if (top <= top_) return;
  const int64_t joined = std::min<int64_t>(top - top_, kOctaves) * kPerOctave;
  counts_ =
      at::cat({counts_.narrow(1, 0, joined + 1).sum(1, true),
               counts_.narrow(1, joined + 1, kBins - joined - 1), at::zeros({2, joined}, counts_.options())},
              1);
  top_ = top;
}

void Histogram::add(const at::Tensor& x, double min, double max) {
  include(min, max);
  for (const at::Tensor& chunk : x.detach().reshape(-1).split(kChunk))
    counts_ += at::bincount(bins_of(chunk, top_), {}, 2 * kBins).cpu().view({2, kBins});
}

void Histogram::check_seen() const {
  ADA_CHECK(counts_.defined(), "activation: no values were seen; run the model on at least one sample first");
}

Range Histogram::range(const Grid& grid) const {
  check_seen();
  return range_around(at::scalar_tensor(min_), at::scalar_tensor(max_), grid);
}

at::Tensor Histogram::counts() const {
  return at::cat({counts_[1].flip(0), counts_[0]});
}

at::Tensor Histogram::edges() const {
  const at::Tensor number = at::arange(kOctaves * kPerOctave + 1, counts_.options());
  const at::Tensor octave = number.div(kPerOctave, "floor");
  const at::Tensor mantissa = number.sub(octave, kPerOctave).div_(kPerOctave).add_(1);
  const at::Tensor edges = mantissa.mul(octave.add(top_ - kOctaves).exp2());
  return at::cat({edges.flip(0).neg(), at::zeros({1}, counts_.options()), edges});
}

}  // namespace adascale
