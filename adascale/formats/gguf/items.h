#pragma once
#include <string>
#include <vector>

#include "adascale/formats/gguf/source.h"
#include "adascale/formats/gguf/types.h"

namespace adascale {

/// A tensor of the file to write.
struct GgufItem {
  std::string name;
  std::vector<int64_t> sizes;
  int32_t weight = kNone;              ///< quantized: its index in sim.weights()
  const GgufGrid* grid = nullptr;      ///< its type then
  std::string parameter = {};          ///< unquantized: the program's
  const GgufTensor* copied = nullptr;  ///< or the source's, unchanged
  int64_t heads = 0;                   ///< its rows move within so many heads; 0: they stay
};

/// Every tensor, in order. `names`: a parameter -> the source folder's name for it. Adds an
/// objection for each tensor without a place.
std::vector<GgufItem> list_gguf_items(const QuantizationSimModel& sim, const GgufSource& source,
                                      const std::map<std::string, std::string>& names,
                                      Objections& objections);

/// The entry for write_gguf; it reads `sim` and `source` when it is written.
GgufEntry gguf_entry(const GgufItem& item, const QuantizationSimModel& sim, const GgufSource& source);
/// Throws (user) where the file, which was written with that entry, holds another tensor.
void expect_item(const GgufFile& file, const GgufItem& item, const QuantizationSimModel& sim,
                 const GgufSource& source);

}  // namespace adascale
