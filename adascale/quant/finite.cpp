#include "adascale/quant/finite.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/isfinite.h>

#include <cmath>

#include "adascale/core/error.h"

namespace adascale {

bool is_finite(const at::Tensor& x) {
  if (x.numel() == 0) return true;
  const auto [min, max] = at::aminmax(x.detach());
  return std::isfinite(min.item<double>()) && std::isfinite(max.item<double>());
}

std::pair<double, double> finite_extremes(const std::string& name, const at::Tensor& x) {
  ADA_CHECK(x.is_floating_point(), "{}: values are {}; only floating-point tensors are quantized", name,
            c10::toString(x.scalar_type()));
  // aminmax propagates NaN, so that one pass serves both.
  const auto [min_tensor, max_tensor] = at::aminmax(x.detach());
  const double min = min_tensor.item<double>(), max = max_tensor.item<double>();
  if (std::isfinite(min) && std::isfinite(max)) return {min, max};
  const int64_t finite = at::isfinite(x).sum().item<int64_t>();
  fail("{}: {} of {} values are NaN or infinite; mend the model or the data", name, x.numel() - finite,
       x.numel());
}

}  // namespace adascale
