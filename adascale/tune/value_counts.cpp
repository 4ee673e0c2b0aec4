#include "adascale/tune/value_counts.h"

#include <ATen/ops/aminmax.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

constexpr int64_t kPiece = 1 << 20;  // values converted at a time

void count(const at::Tensor& piece, ValueCounts& histogram) {
  const auto last = static_cast<int64_t>(histogram.counts.size()) - 1;
  const double width = (histogram.high - histogram.low) / static_cast<double>(histogram.counts.size());
  const at::Tensor values = piece.to(at::kCPU, at::kFloat).contiguous();
  const auto* value = values.const_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double bin = width > 0 ? (value[i] - histogram.low) / width : 0;
    ++histogram.counts[std::clamp<int64_t>(static_cast<int64_t>(bin), 0, last)];
  }
}

template <class Code>
void count_codes(const at::Tensor& codes, CodeCounts& counts) {
  const auto* code = codes.const_data_ptr<Code>();
  for (int64_t i = 0; i < codes.numel(); ++i) ++counts.counts[code[i] - counts.first];
}

}  // namespace

ValueCounts histogram_of(const at::Tensor& values) {
  constexpr size_t kBins = 64;
  const at::Tensor flat = values.detach().flatten();
  const auto [low, high] = at::aminmax(flat);
  ValueCounts histogram{low.item<double>(), high.item<double>(), std::vector<int64_t>(kBins)};
  for (const at::Tensor& piece : flat.split(kPiece)) count(piece, histogram);
  return histogram;
}

CodeCounts counts_of(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  CodeCounts counts{grid.form->has_integer_codes() ? grid.qmin() : 0,
                    std::vector<int64_t>(static_cast<size_t>(grid.steps()) + 1)};
  const at::Tensor codes = encoding.codes.cpu().contiguous();
  ADA_ASSERT(codes.element_size() == 1, "codes of more than 8 bits");
  if (codes.scalar_type() == at::kChar)
    count_codes<int8_t>(codes, counts);
  else
    count_codes<uint8_t>(codes, counts);
  return counts;
}

}  // namespace adascale
