#pragma once
#include "adascale/kernels/update_rule.h"

// What the loops over a weight's rows are told, on CPUs (weight_rows.h) and on GPUs (group_visit.h).
// A GPU's compiler reads this file too, at run time: it may include no library.
namespace adascale {

// Lengths of a signed step: scale / |w| for s2, so that a step counts in codes.
inline constexpr float kLongestStep = 10;      ///< limit of s2: a weight far below one code would leap
inline constexpr float kSharedStep = 0.2F;     ///< of s3 and s4, which move a whole row or column
inline constexpr float kLeastWeight = 1e-30F;  ///< zero stays zero however long its step

/// How values are stored in memory; computation is in fp32.
enum class Stored { kFloat, kBFloat16, kHalf };

/// A grid in the form of the kernels: codes qmin..qmin + steps when symmetric, otherwise
/// 0..steps shifted by the offset.
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

/// The result of the scale learnables, one each per scale: x = scale * (code +
/// offset), W' = W exp(-s2) shrink.
struct RowAffine {
  float *scale = nullptr, *offset = nullptr, *shrink = nullptr;
  float* minimum = nullptr;  ///< x = scale * code + minimum, where a grid has one; its offsets are 0
};

/// One step of the learnables. Adam: p -= rate * m / (sqrt(v) * second_factor + 1e-8), with its
/// bias corrections in rate and second_factor. kStay: no step, w_dq stays too.
struct RowRule {
  UpdateRule update = UpdateRule::kStay;
  float scale_rate = 0, rounding_rate = 0;
  float second_factor = 1;
};

}  // namespace adascale
