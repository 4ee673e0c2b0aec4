#include "adascale/graph/grouped_products.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "error_text.h"

namespace adascale::testing {
namespace {

constexpr int64_t kRows = 9, kIn = 6, kOut = 4;

/// Four groups: of 2 rows, of none, of 6 and of 1.
at::Tensor ends() {
  return at::tensor({2, 2, 8, 9}, at::kInt);
}
at::Tensor group_of_row() {
  return at::tensor({0, 0, 2, 2, 2, 2, 2, 2, 3}, at::kLong);
}

std::vector<c10::IValue> operands(const at::Tensor& x, const at::Tensor& w, const at::Tensor& ends) {
  return {x, w, ends, c10::IValue(), c10::IValue()};
}

/// As transformers' batched_mm: each row with a copy of its group's matrix.
at::Tensor row_by_row(const at::Tensor& x, const at::Tensor& w) {
  return at::bmm(x.unsqueeze(1), w.index({group_of_row()})).squeeze(1);
}

struct Factors {
  at::Tensor x, w;
};

Factors factors(c10::ScalarType type) {
  at::manual_seed(3);
  const auto leaf = [&](at::IntArrayRef sizes) { return at::randn(sizes).to(type).requires_grad_(true); };
  return {leaf({kRows, kIn}), leaf({4, kIn, kOut})};
}

class GroupedProducts : public ::testing::TestWithParam<std::pair<c10::ScalarType, double>> {};

TEST_P(GroupedProducts, are_those_of_each_row_with_its_matrix) {
  const auto [type, tolerance] = GetParam();
  const Factors ours = factors(type), theirs = factors(type);
  const at::Tensor product = *multiply_by_groups(operands(ours.x, ours.w, ends()));
  const at::Tensor expected = row_by_row(theirs.x, theirs.w);
  ASSERT_EQ(product.scalar_type(), type);
  EXPECT_TRUE(at::allclose(product, expected, tolerance, tolerance));
  product.square().sum().backward();
  expected.square().sum().backward();
  EXPECT_TRUE(at::allclose(ours.x.grad(), theirs.x.grad(), tolerance, tolerance));
  EXPECT_TRUE(at::allclose(ours.w.grad(), theirs.w.grad(), tolerance, tolerance));
  EXPECT_EQ(ours.w.grad()[1].abs().sum().item<double>(), 0) << "a matrix without rows";
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GroupedProducts,
                         ::testing::Values(std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 2e-2)));

TEST(GroupedProducts, rows_after_the_last_group_are_zero) {
  const Factors given = factors(at::kFloat);
  const at::Tensor product =
      *multiply_by_groups(operands(given.x, given.w, at::tensor({2, 2, 5, 7}, at::kInt)));
  EXPECT_EQ(product.slice(0, 7).abs().sum().item<double>(), 0);
  EXPECT_EQ(product.sizes(), at::IntArrayRef({kRows, kOut}));
}

/// As transformers gives it: a transposed parameter, whose gradient is then made in its layout.
TEST(GroupedProducts, the_gradient_has_the_layout_of_the_parameter) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({kRows, kIn}), parameter = at::randn({4, kOut, kIn}).requires_grad_(true);
  const at::Tensor last = at::tensor({2, 2, 5, 7}, at::kInt),
                   theirs = parameter.detach().clone().requires_grad_(true);
  multiply_by_groups(operands(x, parameter.transpose(1, 2), last))->square().sum().backward();
  const at::Tensor rows = x.slice(0, 0, 7), groups = at::tensor({0, 0, 2, 2, 2, 3, 3}, at::kLong);
  at::bmm(rows.unsqueeze(1), theirs.transpose(1, 2).index({groups})).square().sum().backward();
  EXPECT_TRUE(parameter.grad().is_contiguous());
  EXPECT_TRUE(at::allclose(parameter.grad(), theirs.grad(), 1e-5, 1e-5));
}

TEST(GroupedProducts, wrong_ends_are_refused) {
  const Factors given = factors(at::kFloat);
  const auto refusal = [&](const std::vector<int64_t>& wrong) {
    return error_of([&] { multiply_by_groups(operands(given.x, given.w, at::tensor(wrong))); });
  };
  EXPECT_EQ(refusal({2, 2, 8}), "got 3 ends of groups, expected one for each of 4");
  EXPECT_EQ(refusal({2, 1, 8, 9}), "group 1 ends at row 1, expected 2 to 9");
  EXPECT_EQ(refusal({2, 2, 8, 10}), "group 3 ends at row 10, expected 8 to 9");
}

TEST(GroupedProducts, other_forms_are_left_to_the_operator) {
  const Factors given = factors(at::kFloat);
  const at::Tensor stack = at::randn({4, 3, kIn});
  EXPECT_FALSE(multiply_by_groups(operands(stack, given.w, at::Tensor())));
  EXPECT_FALSE(multiply_by_groups(operands(given.x, given.x.t(), ends())));
}

TEST(GroupedProducts, that_of_transformers_is_called_like_torchs) {
  Node node{.target = "torch.ops.transformers.grouped_mm_fallback.default"};
  for (const char* name : {"input", "weight", "offs"}) node.inputs.push_back({name, {}});
  call_it_torchs_grouped_product(node);
  EXPECT_TRUE(is_grouped_product(node.op()));
  EXPECT_TRUE(node.input("self") && node.input("mat2") && node.input("offs"));
  Node other{.target = "torch.ops.aten.linear.default"};
  other.inputs.push_back({"input", {}});
  call_it_torchs_grouped_product(other);
  EXPECT_TRUE(other.op() == "aten::linear" && other.input("input"));
}

}  // namespace
}  // namespace adascale::testing
