#include "adascale/quant/forms/minifloat.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/div.h>

#include <cmath>

namespace adascale {

// The exponent bits alone are the power of two.
at::Tensor power_of_two_below(const at::Tensor& x) {
  if (x.scalar_type() == at::kDouble)
    return x.view(at::kLong).bitwise_and(0x7ff0000000000000).view(at::kDouble);
  return x.view(at::kInt).bitwise_and(0x7f800000).view(at::kFloat);
}

at::Tensor gap_at(const at::Tensor& x, const MiniFloat& format) {
  return power_of_two_below(x)
      .clamp_min_(std::ldexp(1.0, format.least_exponent))
      .mul_(std::ldexp(1.0, -format.mantissa_bits));
}

at::Tensor& round_to(at::Tensor& out, const at::Tensor& x, const MiniFloat& format) {
  const at::Tensor gap = gap_at(x, format);
  return at::div_out(out, x, gap).round_().mul_(gap);
}

}  // namespace adascale
