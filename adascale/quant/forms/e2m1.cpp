#include "adascale/quant/forms/e2m1.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include "adascale/quant/forms/minifloat.h"

namespace adascale {

std::string E2m1Form::describe(const Grid& grid) const {
  return fmt::format("{} per group of {}", name(), grid.group_size);
}

at::Tensor& E2m1Form::round_out(at::Tensor& out, const at::Tensor& x) const {
  // 8 is the number after the largest; infinity has no gap.
  return round_to(out, x.clamp(-8, 8), kE2M1);
}

// Magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6 are the codes 0..7.
at::Tensor E2m1Form::to_codes(const at::Tensor& numbers, const Grid&) const {
  const at::Tensor m = numbers.abs();
  const at::Tensor magnitude = at::where(m < 2, m * 2, at::where(m < 4, m + 2, m / 2 + 4));
  return (magnitude + (numbers < 0) * 8).to(at::kByte);
}

at::Tensor E2m1Form::from_codes(const at::Tensor& codes, c10::ScalarType dtype) const {
  const at::Tensor code = codes.bitwise_and(7).to(dtype);
  const at::Tensor m = at::where(code < 4, code / 2, at::where(code < 6, code - 2, code * 2 - 8));
  return at::where(codes > 7, -m, m);
}

at::Tensor E2m1Form::code_length(const at::Tensor& w, const at::Tensor& scale) const {
  return scale * gap_at(w / scale, kE2M1).clamp_max_(2);
}

}  // namespace adascale
