// The fused kernels against tensor operators and autograd, step by step.
#include "adascale/tune/learned_weight.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>

#include "adascale/kernels/weight_rows.h"
#include "adascale/quant/range_analyzer.h"
#include "quant/weight_steps.h"

namespace adascale {
namespace {

std::vector<QuantCase> cases() {
  std::vector<QuantCase> all = quant_cases();
  for (const QuantCase& c : cases_by_form()) all.push_back(c);
  return all;
}

/// Steps with made-up gradients of w_dq; returns w_dq after each.
std::vector<at::Tensor> run(LearnedWeight& weight, const at::Tensor& like) {
  std::vector<at::Tensor> seen;
  at::manual_seed(11);
  for (int i = 0; i < kSteps; ++i) {
    const at::Tensor w = weight.weight();
    seen.push_back(w.detach().clone());
    w.backward(at::randn(like.sizes()).to(like.scalar_type()));
    weight.step(1.0 - 0.1 * i);
  }
  seen.push_back(weight.weight().detach().clone());
  return seen;
}

#ifdef ADASCALE_TEST_TARGET
TEST(LearnedWeight, RunsTheKernelsAskedFor) {
  EXPECT_STREQ(kernel_target(), ADASCALE_TEST_TARGET);
}
#endif

TEST(LearnedWeight, KernelsDoWhatAutogradDoes) {
  for (const QuantCase& c : cases()) {
    for (const StepRule& rule : kRules) {
      SCOPED_TRACE(c.name() + (rule.update == UpdateRule::kAdam ? " adam" : " signed"));
      const at::Tensor w = c.weight();
      const AdaScaleQuantizer fused = moved_quantizer(w, c.grid(), c.input_axis()),
                              plain = moved_quantizer(w, c.grid(), c.input_axis());
      ASSERT_TRUE(kernels_take(fused.state()));
      const auto got = run(*make_learned_weight(fused, rule), w),
                 expected = run(*make_autograd_weight(plain, rule), w);
      // A step of bf16 or fp16 in w_dq; fp32's own rounding otherwise.
      const double tolerance = w.scalar_type() == c10::ScalarType::Float ? 1e-5 : 4e-3;
      for (int i = 0; i <= kSteps; ++i)
        EXPECT_LE(share_apart(got[i], expected[i], tolerance), 0.005) << "step " << i;
      const auto a = fused.learnables(), b = plain.learnables();
      for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(distance(a[i], b[i]), 2e-5) << "learnable " << i;
    }
  }
}

TEST(LearnedWeight, ChannelsOnAnotherAxisTrainAsChannelsInFront) {
  struct Layout {
    std::vector<int64_t> sizes;
    int64_t channel_axis, input_axis;
  };
  // [in, out] of GPT-2's Conv1D; [in, out, kh, kw] of a transposed convolution.
  for (const Layout& layout : {Layout{{24, 10}, 1, -1}, Layout{{8, 6, 3, 3}, 1, 0}}) {
    for (const Sharing sharing : {Sharing::kChannel, Sharing::kGroup, Sharing::kShortGroup, Sharing::kLpbq}) {
      QuantCase c{3, sharing == Sharing::kLpbq, sharing, at::kFloat, at::kFloat, layout.input_axis >= 0};
      SCOPED_TRACE(c.name());
      Grid grid = c.grid();
      grid.channel_axis = layout.channel_axis;
      if (grid.per_group()) grid.group_axis = 0;
      const at::Tensor w = random_weight(layout.sizes), front = w.transpose(0, 1).contiguous();
      const AdaScaleQuantizer aside(w, grid, min_max_range(w, grid), layout.input_axis);
      const AdaScaleQuantizer in_front(front, c.grid(), min_max_range(front, c.grid()), c.input_axis());
      ASSERT_TRUE(kernels_take(aside.state()));
      const auto learned = make_learned_weight(aside, kRules[1]),
                 expected = make_learned_weight(in_front, kRules[1]);
      at::manual_seed(11);
      for (int i = 0; i < kSteps; ++i) {
        const at::Tensor gradient = at::randn_like(w);
        EXPECT_TRUE(same_bits(learned->weight(), expected->weight().transpose(0, 1))) << "step " << i;
        learned->weight().backward(gradient);
        expected->weight().backward(gradient.transpose(0, 1));
        learned->step(1), expected->step(1);
      }
      const at::NoGradGuard no_grad;
      const Encoding a = aside.encode("w"), b = in_front.encode("w");
      EXPECT_TRUE(a.codes.equal(b.codes.transpose(0, 1)));
      EXPECT_EQ(to_string(a.grid), to_string(grid));
      EXPECT_EQ(a.scale.sizes().vec().size(), b.scale.sizes().vec().size());
      EXPECT_TRUE(same_bits(dequantize(a), dequantize(b).transpose(0, 1)));
      EXPECT_TRUE(same_bits(aside.quantized_weight(), dequantize(a)));
    }
  }
}

TEST(LearnedWeight, EncodesWhatItTrainedWith) {
  for (const QuantCase& c : cases()) {
    SCOPED_TRACE(c.name());
    const at::Tensor w = c.weight();
    const AdaScaleQuantizer quantizer = moved_quantizer(w, c.grid(), c.input_axis());
    const auto weight = make_learned_weight(quantizer, kRules[1]);
    run(*weight, w);
    const at::NoGradGuard no_grad;
    const at::Tensor encoded = dequantize(quantizer.encode("w")), trained = weight->weight();
    EXPECT_LE(share_apart(trained, encoded, 1e-5), 0.005) << "codes at borders may fall either way";
  }
}

TEST(LearnedWeight, RowsOfAnyLengthHaveTails) {
  for (const int64_t cols : {3, 15, 16, 17, 37, 130}) {
    for (const StepRule& rule : kRules) {
      SCOPED_TRACE(cols);
      const at::Tensor w = random_weight({5, cols});
      const Grid grid{.bits = 3, .symmetric = false, .channel_axis = 0};
      const AdaScaleQuantizer fused(w, grid, min_max_range(w, grid)), plain(w, grid, min_max_range(w, grid));
      const auto got = run(*make_learned_weight(fused, rule), w),
                 expected = run(*make_autograd_weight(plain, rule), w);
      EXPECT_LE(distance(got.back(), expected.back()), 1e-5);
      EXPECT_LE(distance(fused.state().s2, plain.state().s2), 1e-5);
    }
  }
}

TEST(LearnedWeight, ThreadsDontChangeABit) {
  const int threads = at::get_num_threads();
  for (const bool is_conv : {false, true}) {
    for (const Sharing sharing :
         {Sharing::kTensor, Sharing::kChannel, Sharing::kGroup, Sharing::kShortGroup, Sharing::kSuperblock}) {
      const QuantCase c{4, false, sharing, at::kFloat, at::kFloat, is_conv};
      SCOPED_TRACE(c.name());
      const at::Tensor w = is_conv ? random_weight({64, 32, 3, 3}) : random_weight({256, 512});
      std::vector<at::Tensor> results;
      for (const int count : {1, 2}) {
        at::set_num_threads(count);
        const AdaScaleQuantizer quantizer(w, c.grid(), min_max_range(w, c.grid()), c.input_axis());
        results.push_back(run(*make_learned_weight(quantizer, kRules[0]), w).back());
      }
      EXPECT_TRUE(same_bits(results[0], results[1]));
    }
  }
  at::set_num_threads(threads);
}

TEST(LearnedWeight, StaysWithoutAGradient) {
  const at::Tensor w = random_weight({4, 8});
  const Grid grid{.bits = 4, .channel_axis = 0};
  const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
  make_learned_weight(quantizer, kRules[1])->step(1);
  EXPECT_EQ(quantizer.state().s2.abs().max().item<float>(), 0);
}

/// Of experts that got no token.
TEST(LearnedWeight, SignedStepsLeaveRowsWithoutGradientAsTheyAre) {
  const at::Tensor w = random_weight({6, 48});
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const bool grouped : {false, true})
      for (const StepRule& rule : kRules) {
        Grid grid{.bits = 4, .symmetric = false, .channel_axis = 0};
        if (grouped) grid.group_axis = 1, grid.group_size = 16;
        const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
        const auto learned = make_learned_weight(quantizer, rule, type);
        const auto step = [&](bool all) {
          const at::Tensor gradient = at::randn(w.sizes()).to(type);
          if (!all) gradient.slice(0, 2, 4).zero_();
          learned->weight().backward(gradient);
          learned->step(1);
        };
        const auto rows = [](const at::Tensor& t) { return t.detach().slice(0, 2, 4).clone(); };
        step(/*all=*/true);  // so that the rows have moved, and Adam has moments
        const at::Tensor s2 = rows(quantizer.state().s2), weight = rows(learned->weight());
        step(/*all=*/false);
        const bool are_signed = rule.update == UpdateRule::kSigned;
        EXPECT_GT(s2.abs().min().item<float>(), 0);
        EXPECT_EQ(rows(quantizer.state().s2).equal(s2), are_signed);
        if (are_signed) {
          EXPECT_TRUE(rows(learned->weight()).equal(weight));
        }
      }
}

TEST(CosineDecay, FallsFromOneTowardsZero) {
  EXPECT_EQ(cosine_decay(0, 64), 1);
  EXPECT_NEAR(cosine_decay(32, 64), 0.5, 1e-12);
  EXPECT_GT(cosine_decay(63, 64), 0);
}

}  // namespace
}  // namespace adascale
