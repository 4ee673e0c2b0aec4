#include "adascale/quant/histogram.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/histc.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/finite.h"

namespace adascale {
namespace {

constexpr double kFirstLimit = 0x1p-60;
// A chunk fits the cache, and its fp64 copy costs little memory.
constexpr int64_t kChunk = int64_t{1} << 20;

// Counts over twice the range: pairs of the old bins fill the middle half.
at::Tensor doubled(const at::Tensor& counts) {
  const at::Tensor joined = counts.view({-1, 2}).sum(1);
  const at::Tensor empty = at::zeros({Histogram::kBins / 4}, counts.options());
  return at::cat({empty, joined, empty});
}

}  // namespace

void Histogram::include(double min, double max) {
  if (!counts_.defined()) {
    counts_ = at::zeros({kBins}, at::TensorOptions(c10::ScalarType::Double));
    limit_ = kFirstLimit;
    min_ = min;
    max_ = max;
  }
  min_ = std::min(min_, min);
  max_ = std::max(max_, max);
  for (; limit_ < std::max(-min_, max_); limit_ *= 2) counts_ = doubled(counts_);
}

void Histogram::add(const at::Tensor& x) {
  if (x.numel() == 0) return;
  const auto [min, max] = finite_extremes("activation", x);
  include(min, max);
  for (const at::Tensor& chunk : x.detach().reshape(-1).split(kChunk)) {
    // In units of the limit and in fp64, so that values near fp32's end are counted too.
    counts_ += at::histc(chunk.to(c10::ScalarType::Double).div_(limit_), kBins, -1, 1).cpu();
  }
}

void Histogram::check_seen() const {
  ADA_CHECK(counts_.defined(), "activation: no values were seen; run the model on at least one sample first");
}

Range Histogram::range(const Grid& grid) const {
  check_seen();
  return range_around(at::scalar_tensor(min_), at::scalar_tensor(max_), grid);
}

at::Tensor Histogram::edges() const {
  return at::linspace(-limit_, limit_, kBins + 1, counts_.options());
}

}  // namespace adascale
