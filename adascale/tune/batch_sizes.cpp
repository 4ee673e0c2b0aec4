#include "adascale/tune/batch_sizes.h"

#include <algorithm>

namespace adascale {
namespace {

SymbolSizes sizes_in(const Program& program, const Inputs& batch) {
  SymbolSizes sizes;
  const auto inputs = program.user_inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->value == kNone || !batch[i].isTensor()) continue;
    const Value& value = program.values[inputs[i]->value];
    for (size_t d = 0; d < value.sizes.size(); ++d)
      if (!value.sizes[d].is_fixed())
        sizes[value.sizes[d].symbol] = batch[i].toTensor().size(static_cast<int64_t>(d));
  }
  return sizes;
}

}  // namespace

std::vector<std::pair<SymbolSizes, int64_t>> count_sizes(const Program& program,
                                                         const std::vector<Inputs>& batches) {
  std::vector<std::pair<SymbolSizes, int64_t>> counts;
  for (const Inputs& batch : batches) {
    const SymbolSizes sizes = sizes_in(program, batch);
    const auto known = std::find_if(counts.begin(), counts.end(),
                                    [&](const auto& counted) { return counted.first == sizes; });
    if (known == counts.end())
      counts.emplace_back(sizes, 1);
    else
      ++known->second;
  }
  return counts;
}

int64_t elements_of(const Value& value, const SymbolSizes& symbols) {
  int64_t elements = 1;
  for (const Dim& dim : value.sizes)
    elements *= dim.is_fixed() ? dim.size : evaluate_expression(dim.symbol, symbols).value_or(dim.size);
  return elements;
}

}  // namespace adascale
