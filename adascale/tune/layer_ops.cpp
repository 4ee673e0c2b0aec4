#include "adascale/tune/layer_ops.h"

#include <unordered_map>

namespace adascale {
namespace {

using Table = std::unordered_map<std::string, OpTraits>;

void add(Table& table, OpRole role, const std::vector<std::string>& weights,
         const std::vector<std::string>& names) {
  for (const std::string& name : names) table["aten::" + name] = {role, weights};
}

Table make_table() {
  Table table;
  add(table, OpRole::kWeighted, {"weight"},
      {"linear", "bilinear", "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d",
       "conv_transpose2d", "conv_transpose3d"});
  add(table, OpRole::kWeighted, {"tensors"}, {"einsum"});
  add(table, OpRole::kWeighted, {"params"}, {"lstm", "gru", "rnn_tanh", "rnn_relu"});
  add(table, OpRole::kWeighted, {"mat2"}, {"_grouped_mm"});
  add(table, OpRole::kMatmul, {"self", "other"}, {"matmul"});
  add(table, OpRole::kMatmul, {"self", "mat2"}, {"mm", "bmm"});
  add(table, OpRole::kMatmul, {"mat1", "mat2"}, {"addmm"});
  add(table, OpRole::kMatmul, {"batch1", "batch2"}, {"baddbmm"});
  add(table, OpRole::kView, {},
      {"t",       "transpose", "permute",    "mT",      "numpy_T", "view",         "reshape",
       "squeeze", "unsqueeze", "expand",     "flatten", "index",   "index_select", "gather",
       "select",  "slice",     "narrow",     "chunk",   "split",   "unbind",       "split_with_sizes",
       "to",      "_to_copy",  "contiguous", "clone",   "detach",  "alias",        "_weight_norm"});
  add(table, OpRole::kShapeOnly, {},
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
