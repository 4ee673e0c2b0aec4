#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/kernels/weight_rows.h"
#include "adascale/quant/adascale_quantizer.h"

namespace adascale {

float* data_of(const at::Tensor& t);
/// The dtype in the kernels' words; it must be one of them.
Stored stored_as(c10::ScalarType type);
/// The number of rows of that many elements worth a thread.
int64_t rows_per_task(int64_t cols);

/// Scale, offset or minimum, and shrink of one state of the learnables, of shape Q.
struct AffineTensors {
  at::Tensor scale, offset, shrink;
  at::Tensor minimum;  ///< undefined without

  AffineTensors(const at::Tensor& like, bool has_minimum);
  RowAffine pointers() const;
  /// Takes what the form of the state's grid finds, and returns it.
  Affine find(const AdaScaleState& state) const;
};

/// A quantizer's tensors as the kernels see them: `rows` points into the tensors here and into the state's
/// learnables, which must outlive it.
struct RowView {
  at::Tensor w, min, max, columns;  ///< columns: exp(-s4) along a row, undefined without s4
  AffineTensors affine;
  WeightRows rows;

  explicit RowView(const AdaScaleState& state);
  /// Memory for another affine, like the view's own.
  AffineTensors more_affine() const { return {min, affine.minimum.defined()}; }
  /// Makes `output` the destination of w_dq; it has the weight's size.
  void write_to(const at::Tensor& output);
  /// Computes the affine and w_dq from the state's learnables.
  Affine quantize(const AdaScaleState& state) const;
};

/// The grid in the form of the kernels.
RowGrid row_grid(const Grid& grid);
/// Whether each row of a contiguous weight on that grid is contiguous: the channel axis is first or
/// missing, groups go along the second.
bool rows_are_channels(const Grid& grid);

/// exp(-s4) laid along a row of the weight, [cols].
at::Tensor column_shrink(const AdaScaleState& state);

}  // namespace adascale
