#include "adascale/graph/grouped_products.h"

#include <ATen/ops/cat.h>

#include <map>

#include "adascale/core/error.h"

namespace adascale {
namespace {

const std::string kTorchs = "torch.ops.aten._grouped_mm.default";
const std::string kTransformers = "torch.ops.transformers.grouped_mm_fallback.default";

const std::string& torchs_operand(const std::string& name) {
  static const std::map<std::string, std::string> names = {{"input", "self"}, {"weight", "mat2"}};
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

/// The rows of each group, and at the end those of none.
std::vector<int64_t> group_sizes(const at::Tensor& ends, int64_t groups, int64_t rows) {
  ADA_CHECK(ends.dim() == 1 && ends.size(0) == groups, "got {} ends of groups, expected one for each of {}",
            ends.numel(), groups);
  const at::Tensor on_host = ends.to(at::kCPU, at::kLong).contiguous();
  std::vector<int64_t> sizes;
  int64_t begin = 0;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t end = on_host.const_data_ptr<int64_t>()[group];
    ADA_CHECK(begin <= end && end <= rows, "group {} ends at row {}, expected {} to {}", group, end, begin,
              rows);
    sizes.push_back(end - begin);
    begin = end;
  }
  sizes.push_back(rows - begin);
  return sizes;
}

}  // namespace

bool is_grouped_product(const std::string& op) {
  return op == "aten::_grouped_mm";
}

void call_it_torchs_grouped_product(Node& node) {
  if (node.target != kTransformers) return;
  node.target = kTorchs;
  for (NamedArgument& input : node.inputs) input.name = torchs_operand(input.name);
}

std::optional<at::Tensor> multiply_by_groups(const std::vector<c10::IValue>& operands) {
  const at::Tensor x = operands[0].toTensor(), w = operands[1].toTensor();
  const bool has_groups = x.dim() == 2 && w.dim() == 3 && operands[2].isTensor();
  if (!has_groups || !operands[3].isNone() || !operands[4].isNone()) return std::nullopt;
  const auto sizes = group_sizes(operands[2].toTensor(), w.size(0), x.size(0));
  // Cut in one step each: the gradient is then put together once, not added up group by group.
  const auto rows = x.split_with_sizes(sizes), matrices = w.unbind(0);
  std::vector<at::Tensor> products;
  for (size_t group = 0; group < matrices.size(); ++group)
    if (sizes[group] > 0) products.push_back(rows[group].mm(matrices[group]));
  products.push_back(x.new_zeros({sizes.back(), w.size(2)}));
  return at::cat(products);
}

}  // namespace adascale
