#include "adascale/graph/grouped_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

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

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Calls body(group, first row, rows) for each group with rows, then with the group kNone for the rows of none.
template <class Body>
void for_groups(const std::vector<int64_t>& sizes, const Body& body) {
  int64_t begin = 0;
  for (size_t i = 0; i < sizes.size(); begin += sizes[i++])
    if (sizes[i] > 0) body(i + 1 < sizes.size() ? static_cast<int64_t>(i) : kNone, begin, sizes[i]);
}

/// Writes each group's product into its place: of large weights neither products nor gradients are put together from
/// pieces, which would take twice the memory.
struct GroupedProduct : torch::autograd::Function<GroupedProduct> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w,
                            std::vector<int64_t> sizes) {
    const at::Tensor product = at::empty({x.size(0), w.size(2)}, x.options());
    multiply(product, x, w, sizes);
    ctx->save_for_backward({x, w});
    ctx->saved_data["sizes"] = std::move(sizes);
    return product;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], g = grads[0].contiguous();
    const std::vector<int64_t> sizes = ctx->saved_data["sizes"].toIntVector();
    at::Tensor to_x, to_w;
    if (ctx->needs_input_grad(0)) {
      to_x = at::empty(x.sizes(), x.options());
      multiply(to_x, g, w.transpose(1, 2), sizes);
    }
    if (ctx->needs_input_grad(1)) {
      // In the layout of the parameter, which transformers transposes, so that no one copies it.
      const bool is_transposed = w.stride(1) == 1 && w.stride(2) != 1;
      to_w = is_transposed ? add_up(g, x, w.size(0), sizes).transpose(1, 2) : add_up(x, g, w.size(0), sizes);
    }
    return {to_x, to_w, at::Tensor()};
  }

 private:
  static void multiply(const at::Tensor& product, const at::Tensor& x, const at::Tensor& w,
                       const std::vector<int64_t>& sizes) {
    for_groups(sizes, [&](int64_t group, int64_t begin, int64_t rows) {
      at::Tensor place = product.narrow(0, begin, rows);
      if (group == kNone)
        place.zero_();
      else
        at::mm_out(place, x.narrow(0, begin, rows), w.select(0, group));
    });
  }

  /// a^T b of each group's rows: [groups, columns of a, columns of b]; zero where there are none.
  static at::Tensor add_up(const at::Tensor& a, const at::Tensor& b, int64_t groups,
                           const std::vector<int64_t>& sizes) {
    const at::Tensor sums = at::empty({groups, a.size(1), b.size(1)}, a.options());
    for (int64_t group = 0; group < groups; ++group)
      if (sizes[group] == 0) sums.select(0, group).zero_();
    for_groups(sizes, [&](int64_t group, int64_t begin, int64_t rows) {
      if (group == kNone) return;
      at::Tensor place = sums.select(0, group);
      at::mm_out(place, a.narrow(0, begin, rows).t(), b.narrow(0, begin, rows));
    });
    return sums;
  }
};

}  // namespace

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
  return GroupedProduct::apply(x, w, group_sizes(operands[2].toTensor(), w.size(0), x.size(0)));
}

}  // namespace adascale
