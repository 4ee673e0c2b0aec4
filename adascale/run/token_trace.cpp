#include "adascale/run/token_trace.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace adascale {
namespace {

constexpr int64_t kShownBefore = 24;

/// NaN, of a broken model, is the worst there is.
double comparable(double kl) {
  return std::isnan(kl) ? std::numeric_limits<double>::infinity() : kl;
}

int bin_of(double kl) {
  if (kl <= 0) return 0;
  const double bin = std::floor((std::log10(kl) - TokenTrace::kLow) / TokenTrace::kStep);
  return static_cast<int>(std::clamp(bin, 0.0, static_cast<double>(TokenTrace::kBins - 1)));
}

std::vector<int64_t> last_ids(const at::Tensor& ids, int64_t position) {
  const int64_t first = std::max<int64_t>(0, position + 1 - kShownBefore);
  const at::Tensor shown = ids.narrow(0, first, position + 1 - first).cpu().contiguous();
  return {shown.const_data_ptr<int64_t>(), shown.const_data_ptr<int64_t>() + shown.numel()};
}

}  // namespace

void TokenTrace::add(int64_t start, const at::Tensor& kl, const at::Tensor& keep, const at::Tensor& ids,
                     const at::Tensor& p, const at::Tensor& q) {
  const at::Tensor values = kl.to(at::kCPU, at::kDouble).contiguous(), kept = keep.cpu().contiguous();
  const auto count = static_cast<size_t>(values.numel()), first = static_cast<size_t>(start);
  if (kl_at_.size() < first + count) kl_at_.resize(first + count), tokens_at_.resize(first + count);
  SampleTrace& sample = samples_.back();
  int64_t worst = -1;
  for (size_t i = 0; i < count; ++i) {
    if (!kept.const_data_ptr<bool>()[i]) continue;
    const double value = comparable(values.const_data_ptr<double>()[i]);
    kl_at_[first + i] += value;
    ++tokens_at_[first + i];
    ++histogram_[static_cast<size_t>(bin_of(value))];
    sample.kl += value;
    ++sample.tokens;
    if (value > sample.worst.kl) sample.worst.kl = value, worst = static_cast<int64_t>(i);
  }
  if (worst < 0) return;
  sample.worst.position = start + worst;
  sample.worst.before = last_ids(ids, start + worst);
  sample.worst.fp_next = p[worst].argmax().item<int64_t>();
  sample.worst.quant_next = q[worst].argmax().item<int64_t>();
}

}  // namespace adascale
