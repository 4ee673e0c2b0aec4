#pragma once
#include <cstdint>

namespace adascale {

// Lengths of a signed step: scale / |w| for s2, so that it counts in codes.
inline constexpr float kLongestStep = 10;      ///< of s2: a weight far below one code would leap
inline constexpr float kSharedStep = 0.2F;     ///< of s3 and s4, which move a whole row or column
inline constexpr float kLeastWeight = 1e-30F;  ///< zero stays zero however long its step

/// How values in memory are stored; what is computed with them is fp32.
enum class Stored { kFloat, kBFloat16, kHalf };

/// A grid as the kernels need it: codes qmin..qmin + steps when symmetric, 0..steps shifted
/// by the offset otherwise.
struct RowGrid {
  float qmin = 0, steps = 0;
  bool symmetric = true;
  Stored scale_type = Stored::kFloat;  ///< scales are rounded to it
  float smallest_scale = 0;
  float block_scale_max = 0;  ///< LPBQ: scales are integers 1.. this times one float per row; 0: plain floats
};

/// One learnable: its values and, for Adam, their moments (null otherwise). All of one length.
struct RowLearnable {
  float *value = nullptr, *first = nullptr, *second = nullptr;
};

/// What the scale learnables amount to, one each per scale: x = scale * (code +
/// offset), W' = W exp(-s2) shrink.
struct RowAffine {
  float *scale = nullptr, *offset = nullptr, *shrink = nullptr;
};

/// How a step moves a learnable: p -= rate * m / (sqrt(v) * second_factor + 1e-8) by Adam (arXiv 1412.6980;
/// its bias corrections are in rate and second_factor), p -= rate * sign(gradient) * length by signed steps.
struct RowRule {
  bool adam = false;
  float scale_rate = 0, rounding_rate = 0;
  float second_factor = 1;
};

/// A weight in training: rows of `cols` elements, each row cut in groups of one scale (the last may be
/// shorter). The memory is the caller's. Row-major [rows, cols]: w, s2, gradient, output. One value per
/// scale, [rows, groups] or [1]: all the others. Nothing overlaps.
struct WeightRows {
  int64_t rows = 0, cols = 0, group = 0;
  bool one_scale = false;  ///< for the whole weight; group == cols
  RowGrid grid;
  const float *w = nullptr, *min = nullptr, *max = nullptr;
  const float* start_scale = nullptr;  ///< signed steps count in codes of these
  RowLearnable s2, s3, beta, gamma;
  RowAffine now;                        ///< by find_affine or the last step_rows
  RowAffine next;                       ///< one_scale: by step_one_scale; else the same memory as `now`
  const float* column_now = nullptr;    ///< [cols] exp(-s4), where the weight has s4
  const float* column_next = nullptr;   ///< likewise; what step_rows ends with
  const void* gradient = nullptr;       ///< of the loss in `output`; its type
  void* output = nullptr;               ///< w_dq
  Stored output_type = Stored::kFloat;  ///< or kBFloat16

  int64_t groups() const { return (cols + group - 1) / group; }
};

// The functions below do rows [first, last); different rows may be done at the same time.

/// scale, offset and shrink of the rows from the learnables, into `now`. With one_scale, any row finds the
/// one there is.
void find_affine(const WeightRows& weight, int64_t first, int64_t last);

/// w_dq of the rows, from `now`.
void quantize_rows(const WeightRows& weight, int64_t first, int64_t last);

/// The gradients of whatever rows share, summed over [first, last). `scales` [3]: of s3, scale and offset,
/// one_scale only; `columns` [cols]: of s4, where the weight has it. Null: not wanted. Both are added to.
void sum_rows(const WeightRows& weight, int64_t first, int64_t last, float* scales, float* columns);

/// One visit of each row: backward, the step of the row's own learnables (beta, gamma and s3 too
/// unless one_scale), then w_dq and its affine.
void step_rows(const WeightRows& weight, const RowRule& rule, int64_t first, int64_t last);

/// The step of beta, gamma and s3 of a one_scale weight from the sums over all rows, into `next`.
void step_one_scale(const WeightRows& weight, const RowRule& rule, const float* scales);

/// One step of a learnable that stands outside the rows (s4).
void step_values(const RowLearnable& learnable, const RowRule& rule, const float* gradient, int64_t count);

/// Candidate ranges of a weight, to be compared by what they cost. Layouts as in WeightRows.
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

/// "AVX3": the instruction set the kernels run with here.
const char* kernel_target();

}  // namespace adascale
