#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "adascale/quant/grid.h"

namespace adascale {

/// A weight laid out for training: the axes with scales of their own in front, as one. What shares
/// a scale is then a row, or a group of one. A weight [out, in, ...] is so already; [in, out] or
/// [experts, in, out] is copied. Differentiable.
class RowLayout {
 public:
  RowLayout(at::IntArrayRef weight_sizes, const Grid& grid);

  /// For the weight, or tensors of shape Q: [in, out] -> [out, in], contiguous.
  at::Tensor to_rows(const at::Tensor& t) const;
  /// The source's layout again, as a view.
  at::Tensor from_rows(const at::Tensor& t) const;
  /// The grid of the rows, and where an axis is there that has no scales of its own; -1 stays.
  const Grid& grid() const { return row_grid_; }
  int64_t axis_of(int64_t axis) const;

 private:
  std::vector<int64_t> order(int64_t rank) const;

  Grid grid_, row_grid_;
  int64_t weight_rank_;
  bool is_source_;                 ///< nothing to do
  std::vector<int64_t> in_front_;  ///< sizes of the axes that become one
};

}  // namespace adascale
