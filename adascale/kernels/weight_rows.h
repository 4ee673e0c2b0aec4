#pragma once
#include <cstdint>

#include "adascale/kernels/row_terms.h"

namespace adascale {

/// A weight in training: rows of `cols` elements, each row cut in groups with one scale each (the
/// last may be shorter). The caller owns the memory. Row-major [rows, cols]: w, s2, gradient,
/// output. One value per scale, [rows, groups] or [1]: all the others. Nothing overlaps.
struct WeightRows {
  int64_t rows = 0, cols = 0, group = 0;
  bool one_scale = false;  ///< for the whole weight; group == cols
  /// The caller finds the scales: `now` before all else, `next`, in other memory, between step_ranges and step_rows.
  bool scales_apart = false;
  RowGrid grid;
  const float *w = nullptr, *min = nullptr, *max = nullptr;
  const float* start_scale = nullptr;  ///< signed steps count in codes of these
  RowLearnable s2, s3, beta, gamma;
  RowAffine now;   ///< by find_affine or the last step_rows, unless scales_apart
  RowAffine next;  ///< one_scale: by step_one_scale; else, unless scales_apart, `now`'s memory
  const float* column_now = nullptr;    ///< [cols] exp(-s4), where the weight has s4
  const float* column_next = nullptr;   ///< the same after the step; step_rows computes w_dq with it
  const void* gradient = nullptr;       ///< of the loss in `output`; its type
  void* output = nullptr;               ///< w_dq
  Stored output_type = Stored::kFloat;  ///< or kBFloat16

  int64_t groups() const { return (cols + group - 1) / group; }
};

// The functions below process rows [first, last); different rows may be processed at the same time.

/// scale, offset and shrink of the rows from the learnables, into `now`. With one_scale, any
/// row computes the only one.
void find_affine(const WeightRows& weight, int64_t first, int64_t last);

/// w_dq of the rows, from `now`.
void quantize_rows(const WeightRows& weight, int64_t first, int64_t last);

/// Sums the gradients of learnables shared by rows over [first, last). `scales` [3]: of s3, scale
/// and offset, for one_scale only; `columns` [cols]: of s4, where the weight has it. Null: not
/// wanted. The sums are added to both.
void sum_rows(const WeightRows& weight, int64_t first, int64_t last, float* scales, float* columns);

/// With scales_apart: the step of the rows' beta, gamma and s3 alone. The caller then finds `next` for step_rows.
void step_ranges(const WeightRows& weight, const RowRule& rule, int64_t first, int64_t last);

/// One visit of each row: backward, the step of the row's own learnables, then w_dq. Unless one_scale or
/// scales_apart it steps beta, gamma and s3 too, and finds the affine. Signed steps leave out rows that have no
/// gradient and share nothing with others.
void step_rows(const WeightRows& weight, const RowRule& rule, int64_t first, int64_t last);

/// The step of beta, gamma and s3 of a one_scale weight from the sums over all rows; the
/// affine goes into `next`.
void step_one_scale(const WeightRows& weight, const RowRule& rule, const float* scales);

/// One step of a learnable outside the rows (s4).
void step_values(const RowLearnable& learnable, const RowRule& rule, const float* gradient, int64_t count);

/// Candidate ranges of a weight, to be compared by their error. Layouts as in WeightRows.
struct RangeTrial {
  int64_t rows = 0, cols = 0, group = 0;
  bool one_scale = false;
  RowGrid grid;
  const float *w = nullptr, *scale = nullptr, *offset = nullptr;
  const float* minimum = nullptr;     ///< instead of the offset: Ŵ = scale * code + minimum
  const float* importance = nullptr;  ///< of each squared error: [cols] for all rows, or [rows, cols]
  bool importance_by_row = false;
  float* error = nullptr;  ///< [rows, groups]: sum of importance (Ŵ - w)^2; with one_scale [rows]

  int64_t groups() const { return (cols + group - 1) / group; }
};

/// The errors of rows [first, last).
void find_errors(const RangeTrial& trial, int64_t first, int64_t last);

/// "AVX3": the instruction set of the kernels on this machine.
const char* kernel_target();

}  // namespace adascale
