#include "adascale/io/symbolic_dim.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adascale/graph/size_expression.h"
#include "adascale/io/json_fields.h"

namespace adascale {
namespace {

constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

int64_t bound_or(const nlohmann::json& constraint, const char* field, int64_t otherwise) {
  const auto found = constraint.find(field);
  return found == constraint.end() || found->is_null() ? otherwise : read_int(*found);
}

}  // namespace

Dim symbolic_dim(const std::string& srepr, const nlohmann::json& range_constraints) {
  Dim dim;
  dim.symbol = shorten_expression(srepr);
  SymbolSizes lowest, highest;
  bool is_bounded = true;
  for (const std::string& symbol : symbols_of(dim.symbol)) {
    const auto found = range_constraints.find(symbol);
    const auto constraint = found == range_constraints.end() ? nlohmann::json::object() : *found;
    // torch.export writes 2 for "no lower bound": it treats sizes 0 and 1 apart when it
    // traces, not when it runs.
    const int64_t min = bound_or(constraint, "min_val", 0), max = bound_or(constraint, "max_val", kUnbounded);
    lowest[symbol] = min <= 2 ? 1 : min;
    highest[symbol] = max;
    is_bounded &= max < kUnbounded;
  }
  dim.min = std::max<int64_t>(evaluate_expression(dim.symbol, lowest).value_or(0), 0);
  if (is_bounded) dim.max = evaluate_expression(dim.symbol, highest).value_or(kUnbounded);
  return dim;
}

}  // namespace adascale
