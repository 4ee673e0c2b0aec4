#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <utility>

namespace adascale {

/// Whether a floating tensor holds neither NaN nor infinity; without a copy of it.
bool is_finite(const at::Tensor& x);

/// Smallest and largest value of a floating tensor with at least one element. Throws
/// (user) on NaN or infinity:
/// "<name>: 3 of 96 values are NaN or infinite; ...".
std::pair<double, double> finite_extremes(const std::string& name, const at::Tensor& x);

/// Only the check.
inline void check_finite(const std::string& name, const at::Tensor& x) {
  finite_extremes(name, x);
}

}  // namespace adascale
