#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/quant/grid.h"

namespace adascale {

/// A weight cut along its first axis with scales, so that fp32 copies of a slice stay small beside a weight of
/// billions. Scales are cut with it; one scale for all stays whole.
class Slices {
 public:
  Slices(at::IntArrayRef weight_sizes, const Grid& grid);

  size_t count() const { return starts_.size(); }
  /// Views: of a tensor of the weight's shape, of one split in groups, and of one of shape Q (undefined stays so).
  at::Tensor weight(const at::Tensor& t, size_t slice) const { return cut(t, axis_, slice); }
  at::Tensor split(const at::Tensor& t, size_t slice) const { return cut(t, split_axis_, slice); }
  at::Tensor scales(const at::Tensor& t, size_t slice) const;
  /// Without its parts, which are not needed to compute with.
  Affine affine(const Affine& affine, size_t slice) const;
  /// The inverse of scales().
  at::Tensor join_scales(const std::vector<at::Tensor>& slices) const;

 private:
  at::Tensor cut(const at::Tensor& t, int64_t axis, size_t slice) const;

  bool has_scales_;
  int64_t axis_ = 0, split_axis_ = 0, step_ = 0, size_ = 0;
  std::vector<int64_t> starts_;
};

}  // namespace adascale
