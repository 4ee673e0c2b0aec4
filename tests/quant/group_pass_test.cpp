// The source of the GPU's kernels, compiled for the host, against the CPU's kernels, step by step.
#include "adascale/quant/group_pass.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "adascale/kernels/embedded_texts.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/quant/weight_pass.h"
#include "weight_steps.h"

namespace adascale {
namespace {

/// One thread for a group.
struct Alone {
  long long number;

  long long group() const { return number; }
  long long rank() const { return 0; }
  long long size() const { return 1; }
  bool leads() const { return true; }
  visit::Sums sum(const visit::Sums& sums) const { return sums; }
  visit::Affine share(const visit::Affine& affine) const { return affine; }
};

template <class W, class Out, class Step, int kChunk>
class KernelsHere : public GroupKernels {
 public:
  void quantize(const GroupVisit& t) const override {
    for_groups(t, [&](const Alone& thread) { visit::quantize_group<W, Out, kChunk>(t, thread); });
  }
  void step(const GroupVisit& t) const override {
    constexpr int kHeld = 256 / kChunk;
    ASSERT_LE(t.group, 256);
    for_groups(t, [&](const Alone& thread) { visit::step_group<W, Out, Step, kChunk, kHeld>(t, thread); });
  }

 private:
  /// One more than there are groups, as the last block of a GPU has.
  template <class Body>
  void for_groups(const GroupVisit& t, const Body& body) const {
    for (long long number = 0; number <= t.rows * t.groups(); ++number) body(Alone{number});
  }
};

template <class W, class Out, class Step>
std::shared_ptr<const GroupKernels> chunked(const GroupVariant& variant) {
  if (chunk_of(variant) == 8) return std::make_shared<KernelsHere<W, Out, Step, 8>>();
  return std::make_shared<KernelsHere<W, Out, Step, 1>>();
}
template <class W, class Out>
std::shared_ptr<const GroupKernels> stepping(const GroupVariant& variant) {
  return variant.update == UpdateRule::kAdam ? chunked<W, Out, visit::AdamStep>(variant)
                                             : chunked<W, Out, visit::SignedStep>(variant);
}
template <class W>
std::shared_ptr<const GroupKernels> writing(const GroupVariant& variant) {
  return variant.output == at::kBFloat16 ? stepping<W, visit::BFloat16>(variant)
                                         : stepping<W, visit::Float>(variant);
}
std::shared_ptr<const GroupKernels> kernels_here(const GroupVariant& variant) {
  return variant.weight == at::kBFloat16 ? writing<visit::BFloat16>(variant) : writing<visit::Float>(variant);
}

GroupPass pass_here(const AdaScaleQuantizer& quantizer, const StepRule& rule,
                    c10::ScalarType output = at::kFloat) {
  return {quantizer.state(), rule, output,
          kernels_here(GroupPass::variant_of(quantizer.state(), rule.update, output))};
}

/// Steps with made-up gradients of w_dq; returns w_dq after each.
template <class Pass>
std::vector<at::Tensor> run(Pass& pass) {
  std::vector<at::Tensor> seen;
  at::manual_seed(11);
  for (int i = 0; i < kSteps; ++i) {
    seen.push_back(pass.weight().detach().clone());
    pass.weight().mutable_grad() = at::randn(pass.weight().sizes()).to(pass.weight().scalar_type());
    pass.step(1.0 - 0.1 * i);
  }
  seen.push_back(pass.weight().detach().clone());
  return seen;
}

/// What the last bit of a stored number may change in a weight of up to 0.5.
double rounding_of(c10::ScalarType type) {
  return type == at::kFloat ? 1e-5 : type == at::kHalf ? 0x1p-12 : 0x1p-9;
}

struct Case {
  std::vector<int64_t> sizes;
  Grid grid;
  c10::ScalarType weight, output;
};

std::vector<Case> cases() {
  using enum c10::ScalarType;
  std::vector<Case> all;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {true, false})
      for (const int group : {0, 4, 8, 16, 20, 48})
        for (const auto& [weight, output] :
             {std::pair{Float, Float}, {Float, BFloat16}, {BFloat16, BFloat16}, {Half, Float}})
          for (const auto scale : {Float, Half, BFloat16}) {
            Grid grid{.bits = bits, .symmetric = symmetric, .scale_dtype = scale};
            grid.channel_axis = 0;
            if (group > 0) grid.group_axis = 1, grid.group_size = group;
            all.push_back({{7, 48}, grid, weight, output});
          }
  for (const auto scale : {Float, Half, BFloat16})
    all.push_back(
        {{7, 48}, {.bits = 3, .signed_scale = true, .channel_axis = 0, .scale_dtype = scale}, Float, Float});
  for (const int64_t cols : {1, 3, 17, 130, 256})
    all.push_back({{5, cols}, {.bits = 3, .symmetric = false, .channel_axis = 0}, Float, Float});
  return all;
}

TEST(GroupPass, DoesWhatTheCpusKernelsDo) {
  for (const Case& c : cases()) {
    for (const StepRule& rule : kRules) {
      SCOPED_TRACE(to_string(c.grid) + " " + c10::toString(c.weight) + " " + c10::toString(c.output) +
                   " scale " + c10::toString(c.grid.scale_dtype) +
                   (rule.update == UpdateRule::kAdam ? " adam" : " signed"));
      const at::Tensor w = random_weight(c.sizes, c.weight);
      const AdaScaleQuantizer ours = moved_quantizer(w, c.grid), theirs = moved_quantizer(w, c.grid);
      ASSERT_TRUE(GroupPass::takes(ours.state()));
      GroupPass pass = pass_here(ours, rule, c.output);
      WeightPass other(theirs.state(), rule, c.output);
      const auto got = run(pass), expected = run(other);
      const double tolerance = std::max(rounding_of(c.output), rounding_of(c.grid.scale_dtype));
      for (int i = 0; i <= kSteps; ++i)
        EXPECT_LE(share_apart(got[i], expected[i], tolerance), 0.005) << "step " << i;
      const auto a = ours.learnables(), b = theirs.learnables();
      for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(distance(a[i], b[i]), 2e-5) << "learnable " << i;
    }
  }
}

TEST(GroupPass, StartsAtRoundToNearest) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(to_string(c.grid));
    const at::Tensor w = random_weight(c.sizes, c.weight);
    const AdaScaleQuantizer quantizer(w, c.grid, min_max_range(w, c.grid));
    const GroupPass pass = pass_here(quantizer, kRules[1], c.output);
    const at::NoGradGuard no_grad;
    const at::Tensor start =
        quantizer.in_source_layout(pass.weight()).to(c.weight);  // as the model stores it
    EXPECT_TRUE(same_bits(start.to(c.output), dequantize(quantizer.encode("w")).to(c.output)));
  }
}

TEST(GroupPass, AGradientThatIsNotFiniteShows) {
  const at::Tensor w = random_weight({2, 16});
  const Grid grid{.bits = 4, .channel_axis = 0};
  const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
  GroupPass pass = pass_here(quantizer, kRules[1], at::kFloat);
  at::Tensor gradient = at::randn({2, 16});
  gradient.mutable_data_ptr<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  pass.weight().mutable_grad() = gradient;
  pass.step(1);
  EXPECT_TRUE(pass.weight()[0].isnan().all().item<bool>());
  EXPECT_FALSE(pass.weight()[1].isnan().any().item<bool>());
}

TEST(GroupPass, StaysWithoutAGradient) {
  const at::Tensor w = random_weight({4, 8});
  const Grid grid{.bits = 4, .channel_axis = 0};
  const AdaScaleQuantizer quantizer(w, grid, min_max_range(w, grid));
  GroupPass pass = pass_here(quantizer, kRules[1], at::kFloat);
  pass.step(1);
  EXPECT_EQ(quantizer.state().s2.abs().max().item<float>(), 0);
}

TEST(GroupPass, LeavesWeightsWithSharedLearnablesToOthers) {
  const auto taken = [](const Grid& grid, int64_t input_axis) {
    const at::Tensor w = random_weight({4, 8, 3, 3});
    return GroupPass::takes(AdaScaleQuantizer(w, grid, min_max_range(w, grid), input_axis).state());
  };
  EXPECT_TRUE(taken({.bits = 4, .channel_axis = 0}, -1));
  EXPECT_FALSE(taken({.bits = 4, .channel_axis = 0}, 1)) << "s4";
  EXPECT_FALSE(taken({.bits = 4}, -1)) << "one scale";
  Grid lpbq{.bits = 4, .channel_axis = 0, .group_axis = 1, .group_size = 4};
  lpbq.form = lpbq_form(), lpbq.block_scale_bits = 4;
  EXPECT_FALSE(taken(lpbq, -1)) << "a row's scales are rounded together";
}

TEST(EmbeddedTexts, AreTheFilesAsTheyAre) {
  ASSERT_STREQ(embedded_texts().front().name, "adascale/kernels/group_visit.h");
  for (const auto& [name, text] : embedded_texts()) {
    std::ifstream file(std::string(ADASCALE_TEST_DATA) + "/../" + name);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text) << name;
  }
}

}  // namespace
}  // namespace adascale
