#include "adascale/sim/calibration.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"

namespace adascale {
namespace {

constexpr const char* kUnreached = "got no values in calibration";

/// Additive masks use -infinity, the lowest finite number or a round one such as -1e9 for "never".
bool stands_for_minus_infinity(double lowest, c10::ScalarType dtype) {
  return lowest <= -1e8 || (dtype == at::kHalf && lowest <= -65504);
}

ActivationEncoding encoding_of(const Range& range, int bits, bool symmetric) {
  const Grid grid{.bits = bits, .symmetric = symmetric};
  const at::Tensor scale = scale_of(range, grid);
  ActivationEncoding encoding;
  encoding.scale = scale.item<float>();
  encoding.offset = std::llround(offset_of(range, scale, grid).item<float>());
  const int64_t lowest = symmetric ? grid.qmin() : encoding.offset;
  encoding.min = encoding.scale * static_cast<double>(lowest);
  encoding.max = encoding.scale * static_cast<double>(lowest + grid.steps());
  return encoding;
}

}  // namespace

Calibration::Calibration(const Program& program, size_t quantizers, const MakeAnalyzer& make_analyzer,
                         int64_t kept_bytes)
    : program_(program), kept_bytes_(kept_bytes), seen_(quantizers), off_reasons_(quantizers) {
  for (size_t i = 0; i < quantizers; ++i) analyzers_.push_back(make_analyzer());
}

at::Tensor Calibration::weight(int32_t index, const std::function<at::Tensor()>& find) {
  const auto kept = weights_.find(index);
  if (kept != weights_.end()) return kept->second;
  at::Tensor found = find();
  const auto bytes = static_cast<int64_t>(found.nbytes());
  if (bytes <= kept_bytes_) {
    kept_bytes_ -= bytes;
    weights_.emplace(index, found);
  }
  return found;
}

void Calibration::observe(size_t index, const ActivationQuantizer& quantizer, const at::Tensor& x) {
  if (x.numel() == 0 || !off_reasons_[index].empty() || quantizer.is_fixed) return;
  const auto [min, max] = x.detach().aminmax();
  const double lowest = min.item<double>(), highest = max.item<double>();
  const auto& name = program_.values[quantizer.value].name;
  ADA_CHECK(!std::isnan(lowest) && !std::isnan(highest), "{} ({}): NaN in the calibration data's activations",
            quantizer.module, name);
  if (stands_for_minus_infinity(lowest, x.scalar_type())) {
    off_reasons_[index] = fmt::format("holds values that stand for minus infinity (lowest {:.3g})", lowest);
    return;
  }
  ADA_CHECK(std::isfinite(highest), "{} ({}): infinity in the calibration data's activations",
            quantizer.module, name);
  seen_[index] = true;
  analyzers_[index]->add(x.detach(), lowest, highest);
}

std::vector<ActivationQuantizer> Calibration::finish(std::vector<ActivationQuantizer> quantizers) const {
  std::vector<std::string> unreached;
  for (size_t i = 0; i < quantizers.size(); ++i) {
    ActivationQuantizer& quantizer = quantizers[i];
    if (quantizer.is_fixed) continue;
    quantizer.encoding.reset();
    quantizer.off_reason = is_reached(i) ? off_reasons_[i] : kUnreached;
    if (!is_reached(i)) {
      unreached.push_back(fmt::format("{} {} {}", quantizer.module, quantizer.port, quantizer.index));
    } else if (!quantizer.off_reason.empty()) {
      log_line(fmt::format("{} {}: activation quantizer off: it {}", quantizer.module, quantizer.port,
                           quantizer.off_reason));
    } else {
      const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
      quantizer.encoding = encoding_of(analyzers_[i]->range(grid), quantizer.bits, quantizer.symmetric);
    }
  }
  ADA_CHECK(quantizers.empty() || unreached.size() < quantizers.size(),
            "compute_encodings: the forward pass never ran the model; call it on representative data");
  if (!unreached.empty())
    log_line(
        fmt::format("compute_encodings: no values reached {} activation quantizers, which stay off: {}; "
                    "call the model on data that reaches them",
                    unreached.size(), fmt::join(unreached, ", ")));
  return quantizers;
}

}  // namespace adascale
