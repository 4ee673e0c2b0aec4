#pragma once
#include <string>
#include <vector>

#include "adascale/formats/gguf/source.h"
#include "adascale/formats/gguf/types.h"

namespace adascale {

/// A tensor of the file to be.
struct GgufPlanned {
  std::string name;
  std::vector<int64_t> sizes;
  int32_t weight = kNone;              ///< quantized: its index in sim.weights()
  const GgufGrid* grid = nullptr;      ///< then of this type
  std::string parameter = {};          ///< unquantized: the program's
  const GgufTensor* copied = nullptr;  ///< or the source's, as it is
  int64_t heads = 0;                   ///< its rows move within so many heads; 0: they stay
};

/// Every tensor, in order. `names`: a parameter -> the source folder's name for it. Adds to `objections` what
/// has no place.
std::vector<GgufPlanned> plan_gguf(const QuantizationSimModel& sim, const GgufSource& source,
                                   const std::map<std::string, std::string>& names, Objections& objections);

/// What write_gguf is given; reads `sim` and `source` when it is written.
GgufEntry gguf_entry(const GgufPlanned& planned, const QuantizationSimModel& sim, const GgufSource& source);

}  // namespace adascale
