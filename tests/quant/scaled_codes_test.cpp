#include "adascale/quant/scaled_codes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn_like.h>

#include "adascale/kernels/kernel_switch.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/range_analyzer.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

struct WithoutKernels {
  WithoutKernels() { switch_kernels(false); }
  ~WithoutKernels() { switch_kernels(true); }
};

std::vector<Encoding> encodings() {
  std::vector<Encoding> all;
  for (const QuantCase& c : quant_cases()) {
    const at::Tensor w = c.weight();
    all.push_back(encode_rtn(c.name(), w, c.grid(), min_max_range(w, c.grid())));
  }
  Grid minimum{.bits = 4, .symmetric = false, .channel_axis = 0, .group_axis = 1, .group_size = 32};
  minimum.form = minimum_form();
  const at::Tensor w = random_weight({5, 96});
  all.push_back(encode_rtn("minimum", w, minimum, min_max_range(w, minimum)));
  return all;
}

TEST(ScaledCodes, AreDequantizedAsElsewhere) {
  for (const Encoding& encoding : encodings()) {
    SCOPED_TRACE(encoding.name);
    Encoding exact = encoding;
    exact.source_dtype = at::kFloat;
    EXPECT_TRUE(at::allclose(dequantize_as(exact, at::kFloat), dequantize(exact), 1e-6, 1e-8));
    if (encoding.minimum) continue;  // a fused multiply-add, rounded once
    EXPECT_TRUE(dequantize_as(exact, at::kFloat).equal(dequantize(exact)));
    EXPECT_TRUE(dequantize_as(exact, at::kBFloat16).equal(dequantize(exact).to(at::kBFloat16)));
  }
}

TEST(ScaledCodes, ScalesHaveTheGradientOfDequantizing) {
  for (const Encoding& encoding : encodings()) {
    SCOPED_TRACE(encoding.name);
    Encoding exact = encoding;  // in fp64, by autograd
    exact.source_dtype = at::kDouble;
    exact.scale = encoding.scale.to(at::kDouble).requires_grad_();
    at::manual_seed(9);
    const at::Tensor gradient = at::randn_like(encoding.codes, at::kFloat);
    const Grid& grid = encoding.grid;
    const at::Tensor zeros = grid.symmetric || encoding.minimum ? encoding.offset.mul(0) : encoding.offset;
    const at::Tensor numbers =
        grid.form->from_codes(split_groups(encoding.codes, grid), at::kDouble).add(zeros);
    join_groups(numbers.mul(exact.scale), encoding.codes.sizes(), grid).mul(gradient).sum().backward();
    const at::Tensor expected = exact.scale.grad().to(at::kFloat);
    const double most =
        1e-5 * numbers.abs().max().item<double>() * static_cast<double>(encoding.codes.numel());
    const at::Tensor found = scale_gradient(encoding, gradient);
    ASSERT_EQ(found.sizes(), expected.sizes());
    EXPECT_TRUE(at::allclose(found, expected, 1e-5, most * 1e-2));
    {
      const WithoutKernels off;
      EXPECT_TRUE(at::allclose(scale_gradient(encoding, gradient), expected, 1e-5, most * 1e-2));
    }
    const at::Tensor short_one = gradient.to(at::kBFloat16);
    EXPECT_TRUE(at::allclose(scale_gradient(encoding, short_one),
                             scale_gradient(encoding, short_one.to(at::kFloat)), 1e-6, 1e-6));
  }
}

}  // namespace
}  // namespace adascale
