#pragma once
#include <cstdint>

#include "adascale/kernels/row_terms.h"

namespace adascale {

/// A weight of stored codes: rows of `cols`, each cut in equal groups with one scale each. The caller owns the memory. Row-major [rows, cols]: codes. One value per scale, [rows, groups] or [1]: the rest.
struct CodeRows {
  int64_t rows = 0, cols = 0, group = 0;
  bool one_scale = false;  ///< for the whole weight; group == cols
  const int8_t* signed_codes = nullptr;
  const uint8_t* unsigned_codes = nullptr;  ///< where there are no signed ones
  const float* scale = nullptr;
  const float* offset = nullptr;   ///< null: 0
  const float* minimum = nullptr;  ///< null: 0

  int64_t groups() const { return cols / group; }
};

// Rows [first, last); different rows may be processed at the same time.

/// scale (code + offset) + minimum, in `type`: kFloat or kBFloat16. `output`: row-major [rows, cols].
void dequantize_rows(const CodeRows& codes, void* output, Stored type, int64_t first, int64_t last);

/// The gradient of each scale: the sum of g (code + offset) over its elements, for a gradient g laid out as the output
/// above. `sums`: [rows, groups]; with one_scale [rows], to be summed.
void sum_by_scale(const CodeRows& codes, const void* gradient, Stored type, float* sums, int64_t first,
                  int64_t last);

}  // namespace adascale
