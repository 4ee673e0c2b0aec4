#include "adascale/quant/slices.h"

#include <ATen/ops/cat.h>

#include <algorithm>

namespace adascale {
namespace {

constexpr int64_t kElements = 1 << 22;

}  // namespace

Slices::Slices(at::IntArrayRef weight_sizes, const Grid& grid) : has_scales_(grid.per_channel()) {
  if (has_scales_) axis_ = grid.scaled_axes().front();
  split_axis_ = split_axes({axis_}, grid).front();
  size_ = weight_sizes.empty() ? 1 : weight_sizes[axis_];
  const int64_t each = c10::multiply_integers(weight_sizes) / std::max<int64_t>(1, size_);
  step_ = std::max<int64_t>(1, kElements / std::max<int64_t>(1, each));
  if (weight_sizes.empty() || step_ >= size_) step_ = size_;
  for (int64_t start = 0; start < size_ || starts_.empty(); start += std::max<int64_t>(1, step_))
    starts_.push_back(start);
}

at::Tensor Slices::cut(const at::Tensor& t, int64_t axis, size_t slice) const {
  if (!t.defined() || count() == 1) return t;
  return t.narrow(axis, starts_[slice], std::min(step_, size_ - starts_[slice]));
}

at::Tensor Slices::scales(const at::Tensor& t, size_t slice) const {
  return has_scales_ ? cut(t, split_axis_, slice) : t;
}

Affine Slices::affine(const Affine& affine, size_t slice) const {
  return {.scale = scales(affine.scale, slice),
          .offset = scales(affine.offset, slice),
          .minimum = scales(affine.minimum, slice)};
}

at::Tensor Slices::join_scales(const std::vector<at::Tensor>& slices) const {
  return slices.size() == 1 ? slices.front() : at::cat(slices, split_axis_);
}

}  // namespace adascale
