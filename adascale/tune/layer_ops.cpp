#include "adascale/tune/layer_ops.h"

#include <unordered_map>

#include "adascale/sim/layer_kind.h"

namespace adascale {
namespace {

using Table = std::unordered_map<std::string, OpTraits>;

void add(Table& table, OpRole role, const std::vector<std::string>& names) {
  for (const std::string& name : names) table["aten::" + name].role = role;
}

/// An operator with a row for each of two operands is a product of the two.
void add_layers(Table& table) {
  for (const LayerKind& kind : layer_kinds()) {
    if (!kind.multiplies) continue;
    OpTraits& traits = table[kind.op];
    traits.role = traits.weights.empty() ? OpRole::kWeighted : OpRole::kMatmul;
    traits.weights.push_back(kind.weight);
  }
  for (const PassedOverOp& layer : passed_over_ops())
    if (!layer.weight.empty()) table[layer.op] = {OpRole::kWeighted, {layer.weight}};
}

Table make_table() {
  Table table;
  add_layers(table);
  add(table, OpRole::kView,
      {"t", "transpose", "permute", "mT", "numpy_T", "view", "reshape", "squeeze", "unsqueeze", "expand",
       "flatten", "unflatten"});
  add(table, OpRole::kView,
      {"index", "index_select", "gather", "select", "slice", "narrow", "chunk", "split", "unbind",
       "split_with_sizes"});
  add(table, OpRole::kView, {"to", "_to_copy", "contiguous", "clone", "detach", "alias", "_weight_norm"});
  add(table, OpRole::kShapeOnly,
      {"zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros",
       "new_ones", "new_full", "new_empty"});
  return table;
}

}  // namespace

const OpTraits& traits_of(const std::string& op) {
  static const Table table = make_table();
  static const OpTraits other;
  const auto row = table.find(op);
  return row == table.end() ? other : row->second;
}

}  // namespace adascale
