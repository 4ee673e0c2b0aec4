#include "adascale/quant/adascale_quantizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "adascale/quant/range_analyzer.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

AdaScaleQuantizer start(const at::Tensor& w, const Grid& grid, int64_t input_axis = -1) {
  return AdaScaleQuantizer(w, grid, min_max_range(w, grid), input_axis);
}

void move_learnables(const AdaScaleQuantizer& quantizer, double by) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& p : quantizer.learnables()) p.add_(at::randn_like(p), by);
}

// Every combination of bits, symmetry, sharing, dtypes and layer; in loops, since ctest
// runs a process per test.
TEST(AdaScaleCases, StartAsRoundToNearest) {
  for (const QuantCase& c : quant_cases()) {
    SCOPED_TRACE(c.name());
    const at::Tensor w = c.weight();
    const AdaScaleQuantizer quantizer = start(w, c.grid(), c.input_axis());
    const Encoding rtn = encode_rtn("w", w, c.grid(), min_max_range(w, c.grid())),
                   mine = quantizer.encode("w");
    EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(rtn)));
    EXPECT_TRUE(same_bits(mine.codes, rtn.codes));
    EXPECT_TRUE(same_bits(mine.scale, rtn.scale));
    EXPECT_TRUE(same_bits(mine.offset, rtn.offset));
  }
}

TEST(AdaScaleCases, EncodeWhatTheyCompute) {
  for (const QuantCase& c : quant_cases()) {
    SCOPED_TRACE(c.name());
    const at::Tensor w = c.weight();
    const AdaScaleQuantizer quantizer = start(w, c.grid(), c.input_axis());
    move_learnables(quantizer, 0.2);
    const at::NoGradGuard no_grad;
    const Encoding encoding = quantizer.encode("w");
    EXPECT_EQ(quantizer.quantized_weight().scalar_type(), w.scalar_type());
    EXPECT_TRUE(same_bits(quantizer.quantized_weight(), dequantize(encoding)));
    const bool is_lpbq = c.sharing == Sharing::kLpbq;
    const at::Tensor stored = is_lpbq ? encoding.parts.at(kChannelScale) : encoding.scale;
    EXPECT_TRUE(same_bits(stored.to(c.scale_dtype).to(stored.scalar_type()), stored));
    EXPECT_GE(encoding.codes.min().item<int64_t>(), c.grid().qmin());
    EXPECT_LE(encoding.codes.max().item<int64_t>(), c.grid().qmax());
    EXPECT_LE(encoding.offset.max().item<int64_t>(), 0);
    EXPECT_GE(encoding.offset.min().item<int64_t>(), c.symmetric ? 0 : -c.grid().qmax());
  }
}

TEST(AdaScaleCases, TheGradientReachesEveryLearnable) {
  for (const QuantCase& c : quant_cases()) {
    const AdaScaleQuantizer quantizer = start(c.weight(), c.grid(), c.input_axis());
    const std::vector<at::Tensor> learnables = quantizer.learnables();
    EXPECT_EQ(learnables.size(), c.is_conv ? 5u : 4u) << c.name();
    const at::Tensor out = quantizer.quantized_weight();
    (out * at::randn_like(out)).sum().backward();
    for (size_t i = 0; i < learnables.size(); ++i) {
      ASSERT_TRUE(learnables[i].grad().defined()) << c.name() << " " << i;
      EXPECT_EQ(learnables[i].grad().sizes(), learnables[i].sizes()) << c.name() << " " << i;
      EXPECT_GT(learnables[i].grad().abs().max().item<double>(), 0) << c.name() << " " << i;
      EXPECT_TRUE(learnables[i].grad().isfinite().all().item<bool>()) << c.name() << " " << i;
    }
  }
}

// quantized_weight() as its gradients see it: every rounding is replaced by adding its
// present residual. That function is smooth, so that its finite differences must be
// the straight-through gradients.
class SmoothTwin {
 public:
  SmoothTwin(const at::Tensor& w, const Grid& grid, const Range& range, const std::vector<at::Tensor>& at)
      : w_(split_groups(w, grid)), grid_(grid), range_(range) {
    if (grid.form == lpbq_form()) {
      const at::Tensor ratio = ratio_at(at);
      multiple_ = ratio.round().clamp(1, 16);
      multiple_residual_ = multiple_ - ratio;
      multiple_clamped_ = (ratio < 1) | (ratio > 16);
    }
    const at::Tensor scale = scale_at(at), x = divided(at) / scale;
    const at::Tensor position = range_.min * at[0].exp() / scale;
    offset_residual_ = position.round() - position;
    const at::Tensor lowest = grid.symmetric ? at::full_like(position, grid.qmin()) : position.round();
    below_ = x.round() < lowest;
    above_ = x.round() > lowest + grid.steps();
    residual_ = x.round() - x;
  }

  at::Tensor operator()(const std::vector<at::Tensor>& at) const {
    const at::Tensor scale = scale_at(at), position = range_.min * at[0].exp() / scale;
    const at::Tensor lowest =
        grid_.symmetric ? at::full_like(position, grid_.qmin()) : position + offset_residual_;
    const at::Tensor inside = divided(at) / scale + residual_;
    return scale * at::where(below_, lowest, at::where(above_, lowest + grid_.steps(), inside));
  }
  int64_t clamped() const { return (below_ | above_).sum().item<int64_t>(); }

 private:
  at::Tensor w_, residual_, offset_residual_, below_, above_;
  at::Tensor multiple_, multiple_residual_, multiple_clamped_;  // LPBQ's integers
  Grid grid_;
  Range range_;

  at::Tensor divided(const std::vector<at::Tensor>& at) const {
    at::Tensor result = w_;
    for (size_t i = 2; i < at.size(); ++i) result = result / at[i].exp();
    return result;
  }
  at::Tensor channel_at(const std::vector<at::Tensor>& at) const {
    return ideal_at(at).amax({grid_.group_axis}, true) / 16;
  }
  at::Tensor ratio_at(const std::vector<at::Tensor>& at) const { return ideal_at(at) / channel_at(at); }
  at::Tensor scale_at(const std::vector<at::Tensor>& at) const {
    if (grid_.form != lpbq_form()) return ideal_at(at);
    return at::where(multiple_clamped_, multiple_, ratio_at(at) + multiple_residual_) * channel_at(at);
  }
  at::Tensor ideal_at(const std::vector<at::Tensor>& at) const {
    return (at[1].exp() * range_.max - at[0].exp() * range_.min) / grid_.steps();
  }
};

class AdaScaleGradient : public ::testing::TestWithParam<std::tuple<bool, Sharing, bool>> {};

TEST_P(AdaScaleGradient, IsFiniteDifferencesOfTheSmoothTwin) {
  const auto [symmetric, sharing, is_conv] = GetParam();
  const QuantCase as_case{3, symmetric, sharing, kDouble, kDouble, is_conv};
  const at::Tensor w = random_weight(is_conv ? at::IntArrayRef{3, 8, 2, 2} : at::IntArrayRef{3, 8}, kDouble);
  const Range full = min_max_range(w, as_case.grid()),
              range{full.min * 0.4, full.max * 0.4};  // so that some clamp
  const AdaScaleQuantizer quantizer(w, as_case.grid(), range, as_case.input_axis());
  move_learnables(quantizer, 0.3);
  const at::Tensor out = quantizer.quantized_weight(), g = at::randn_like(out);
  (out * g).sum().backward();

  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> point;
  for (const at::Tensor& p : quantizer.learnables()) point.push_back(p.detach().clone());
  const SmoothTwin twin(w, as_case.grid(), range, point);
  EXPECT_GT(twin.clamped(), 0);
  EXPECT_LT((join_groups(twin(point), w.sizes(), as_case.grid()) - out).abs().max().item<double>(), 1e-12);
  const auto value = [&] {
    return (join_groups(twin(point), w.sizes(), as_case.grid()) * g).sum().item<double>();
  };
  for (size_t i = 0; i < point.size(); ++i) {
    const at::Tensor grad = quantizer.learnables()[i].grad();
    auto* element = point[i].mutable_data_ptr<double>();
    for (int64_t k = 0; k < point[i].numel(); ++k) {
      constexpr double kStep = 1e-6;
      const double here = element[k];
      element[k] = here + kStep;
      const double above = value();
      element[k] = here - kStep;
      const double below = value();
      element[k] = here;
      EXPECT_NEAR(grad.reshape(-1)[k].item<double>(), (above - below) / (2 * kStep), 1e-8)
          << "learnable " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, AdaScaleGradient,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(Sharing::kTensor, Sharing::kChannel,
                                                              Sharing::kGroup, Sharing::kShortGroup),
                                            ::testing::Bool()));
INSTANTIATE_TEST_SUITE_P(Lpbq, AdaScaleGradient,
                         ::testing::Combine(::testing::Values(true), ::testing::Values(Sharing::kLpbq),
                                            ::testing::Bool()));

TEST(AdaScaleQuantizer, LeavesTheWeightAlone) {
  const at::Tensor w = random_weight({4, 8}), before = w.clone();
  const AdaScaleQuantizer quantizer = start(w, Grid{.bits = 4, .channel_axis = 0});
  move_learnables(quantizer, 0.1);
  quantizer.quantized_weight().sum().backward();
  EXPECT_TRUE(same_bits(w, before));
}

TEST(AdaScaleQuantizer, DividesByTheExponentials) {
  const at::Tensor w = random_weight({4, 6, 3, 3});
  const AdaScaleQuantizer quantizer = start(w, Grid{.bits = 4, .channel_axis = 0}, 1);
  move_learnables(quantizer, 0.1);
  const std::vector<at::Tensor> s = quantizer.rounding_learnables();
  EXPECT_EQ(s[2].sizes(), at::IntArrayRef({1, 6, 1, 1}));
  EXPECT_LT((quantizer.divided_weight() - w / (s[0] + s[1] + s[2]).exp()).abs().max().item<double>(), 1e-6);
}

TEST(AdaScaleQuantizer, ZeroAndOneSignedChannelsTrain) {
  for (const bool symmetric : {true, false}) {
    const at::Tensor w = random_weight({4, 8});
    w[0].zero_();
    w[1].abs_();
    w[2].abs_().neg_();
    const AdaScaleQuantizer quantizer = start(w, Grid{.bits = 4, .symmetric = symmetric, .channel_axis = 0});
    const at::Tensor out = quantizer.quantized_weight();
    out.square().sum().backward();
    EXPECT_TRUE(same_bits(out[0], at::full({8}, 0.0f)));
    for (const at::Tensor& p : quantizer.learnables()) EXPECT_TRUE(p.grad().isfinite().all().item<bool>());
  }
}

TEST(AdaScaleQuantizer, TakesEarlierLearnables) {
  const at::Tensor w = random_weight({4, 8});
  const Grid grid{.bits = 4, .channel_axis = 0};
  AdaScaleQuantizer first = start(w, grid), second = start(w, grid);
  move_learnables(first, 0.1);
  second.set_learnables(first.learnables());
  EXPECT_TRUE(same_bits(second.quantized_weight(), first.quantized_weight()));
  EXPECT_TRUE(second.learnables()[0].requires_grad());
}

TEST(AdaScaleQuantizer, RefusesAnotherLayersLearnables) {
  AdaScaleQuantizer quantizer = start(random_weight({4, 8}), Grid{.bits = 4, .channel_axis = 0});
  const AdaScaleQuantizer other = start(random_weight({4, 9}), Grid{.bits = 4, .channel_axis = 0});
  const AdaScaleQuantizer conv = start(random_weight({4, 8, 1, 1}), Grid{.bits = 4, .channel_axis = 0}, 1);
  EXPECT_EQ(error_of([&] { quantizer.set_learnables(other.learnables()); }),
            "learnable 2 is of shape [4, 9], expected [4, 8]; is this another layer's state?");
  EXPECT_EQ(error_of([&] { quantizer.set_learnables(conv.learnables()); }),
            "5 learnable tensors for a quantizer of 4; is this another layer's state?");
}

TEST(AdaScaleQuantizer, ATrainingThatDivergedIsNotEncoded) {
  const AdaScaleQuantizer quantizer = start(random_weight({4, 8}), Grid{.bits = 4, .channel_axis = 0});
  const at::NoGradGuard no_grad;
  quantizer.learnables()[2][0][0] = std::nan("");
  EXPECT_EQ(error_of([&] { quantizer.encode("encoder.query"); }),
            "encoder.query, trained weight: 1 of 32 values are NaN or infinite; mend the model or the data");
}

TEST(AdaScaleQuantizer, ACodeStepMovesAWeightByAboutOneCode) {
  for (const QuantCase& c : quant_cases()) {
    if (c.bits < 4) continue;  // a step of a third of the weight is not small
    SCOPED_TRACE(c.name());
    const at::Tensor w = c.weight();
    const Range range = min_max_range(w, c.grid());
    const AdaScaleQuantizer quantizer(w, c.grid(), range);
    const std::vector<at::Tensor> steps = quantizer.code_steps();
    ASSERT_EQ(steps.size(), quantizer.rounding_learnables().size());
    EXPECT_LE(steps[0].max().item<double>(), 10);
    // dW'/ds2 = -W': the weight moves by |W| step = scale, where the step is not capped.
    const at::Tensor moved = steps[0] * split_groups(w.to(steps[0].scalar_type()), c.grid()).abs();
    const at::Tensor share = moved / scale_of(range, c.grid()).abs();
    EXPECT_LE(share.max().item<double>(), 1 + 1e-5);
    EXPECT_NEAR(share.where(steps[0].lt(9.99), at::ones({}, share.options())).min().item<double>(), 1, 1e-5);
  }
}

}  // namespace
}  // namespace adascale
