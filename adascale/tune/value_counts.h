#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace adascale {

struct Encoding;

/// Numbers of values in bins of one width between the least and the largest value.
struct ValueCounts {
  double low = 0, high = 0;
  std::vector<int64_t> counts;
};

/// Numbers of the codes `first`, `first` + 1, ...: each that the grid has, used or not.
struct CodeCounts {
  int64_t first = 0;
  std::vector<int64_t> counts;
};

/// In 64 bins. `values`: finite, of any floating-point dtype, on any device; read in pieces.
ValueCounts histogram_of(const at::Tensor& values);
/// Of a weight of at most 8 bits. Codes of a form that are no integers are counted as bit patterns, from 0.
CodeCounts counts_of(const Encoding& encoding);

}  // namespace adascale
