#pragma once
#include <ATen/core/Tensor.h>

namespace adascale {

/// A float of a few bits without infinity: its numbers are multiples of 2^(e - mantissa_bits) between
/// 2^e and 2^(e+1), and of 2^(least_exponent - mantissa_bits) below 2^least_exponent.
struct MiniFloat {
  int mantissa_bits;
  int least_exponent;
  double largest;
};

/// OCP Microscaling Formats 1.0, 5.3.3: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
inline constexpr MiniFloat kE2M1{1, 0, 6};
/// OCP 8-bit Floating Point 1.0; torch.float8_e4m3fn.
inline constexpr MiniFloat kE4M3{3, -6, 448};

/// 2^e for 2^e <= |x| < 2^(e+1), exactly; 0 for zero and subnormal x. Of x's shape and dtype, fp32 or fp64.
at::Tensor power_of_two_below(const at::Tensor& x);
/// The distance between the format's numbers around x, continued beyond the largest.
at::Tensor gap_at(const at::Tensor& x, const MiniFloat& format);
/// The nearest of these numbers, half to even mantissa; `out` may be `x`.
at::Tensor& round_to(at::Tensor& out, const at::Tensor& x, const MiniFloat& format);

}  // namespace adascale
