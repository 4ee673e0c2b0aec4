#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "adascale/quant/grid.h"

namespace adascale {

/// A weight laid out for training: the axes with scales of their own come first, as one axis. The
/// elements that share a scale are then a row, or a group of a row, all of one length: zeros fill a short last
/// group. A weight [out, in, ...] already is; [in, out] or [experts, in, out] is copied. Differentiable.
class RowLayout {
 public:
  RowLayout(at::IntArrayRef weight_sizes, const Grid& grid);

  /// For the weight, factors of its elements, or tensors of shape Q: [in, out] -> [out, in], contiguous.
  at::Tensor to_rows(const at::Tensor& t) const;
  /// Back in the source's layout, as a view.
  at::Tensor from_rows(const at::Tensor& t) const;
  /// The grid of the rows, and the position in them of an axis without scales of its own; -1 stays -1.
  const Grid& grid() const { return row_grid_; }
  int64_t axis_of(int64_t axis) const;

 private:
  std::vector<int64_t> order(int64_t rank) const;
  at::Tensor unpermuted(const at::Tensor& t) const;

  Grid grid_, row_grid_;
  int64_t weight_rank_;
  int64_t group_length_, missing_;  ///< of the axis cut in groups; in its last group
  bool is_source_;                  ///< no permutation is needed
  std::vector<int64_t> in_front_;   ///< sizes of the axes that become one
};

}  // namespace adascale
