#include "adascale/quant/encoding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "adascale/quant/range_analyzer.h"
#include "quant/quant_cases.h"

namespace adascale {
namespace {

Encoding encode(const at::Tensor& w, const Grid& grid) {
  return encode_rtn("w", w, grid, min_max_range(w, grid));
}

int64_t least(const at::Tensor& x) {
  return x.min().item<int64_t>();
}
int64_t greatest(const at::Tensor& x) {
  return x.max().item<int64_t>();
}

TEST(EncodeRtn, CodesAreOnTheGridAndZeroIsExact) {
  for (const QuantCase& c : quant_cases()) {
    const Encoding encoding = encode(c.weight(), c.grid());
    EXPECT_GE(least(encoding.codes), c.grid().qmin()) << c.name();
    EXPECT_LE(greatest(encoding.codes), c.grid().qmax()) << c.name();
    EXPECT_LE(greatest(encoding.offset), 0) << c.name();
    EXPECT_GE(least(encoding.offset), c.symmetric ? 0 : -c.grid().qmax()) << c.name();
  }
}

TEST(EncodeRtn, ErrsByHalfAStepAtMost) {
  for (const QuantCase& c : quant_cases()) {
    const at::Tensor w = c.weight();
    const Encoding encoding = encode(w, c.grid());
    const at::Tensor error =
        split_groups(w.to(c10::ScalarType::Float) - dequantize(encoding), c.grid()).abs();
    // Short scales, and the offset's rounding, clip up to a step at the ends; short weights round once more.
    const bool exact = c.symmetric && c.dtype == c10::ScalarType::Float && c.scale_dtype == c.dtype;
    double allowed = exact ? 0.5 + 1e-4 : 1.0 + c.grid().steps() / 256.0;
    // A scale half an integer below its own: the ends clip by up to a third of the range.
    if (c.sharing == Sharing::kLpbq) allowed += 0.5 * c.grid().steps() / 2;
    EXPECT_LE((error / encoding.scale).max().item<double>(), allowed) << c.name();
  }
}

TEST(EncodeRtn, EncodingTheResultAgainFindsTheSameCodes) {
  for (const QuantCase& c : quant_cases()) {
    SCOPED_TRACE(c.name());
    Encoding first = encode(c.weight(), c.grid());
    first.source_dtype = c10::ScalarType::Float;
    const at::Tensor w = dequantize(first), offset = first.offset.to(at::kFloat);
    const Encoding again = encode_affine("w", w, split_groups(w, c.grid()), {first.scale, offset}, c.grid());
    EXPECT_TRUE(at::equal(again.codes, first.codes));
    EXPECT_TRUE(same_bits(dequantize(again), w));
    EXPECT_EQ(again.sqnr_db, std::numeric_limits<double>::infinity());
  }
}

TEST(Encoding, EqualsAPlainLoop) {
  const at::Tensor w = random_weight({5, 7});
  const Encoding encoding = encode(w, Grid{.bits = 3, .symmetric = false, .channel_axis = 0});
  for (int64_t row = 0; row < 5; ++row) {
    float min = 0, max = 0;
    for (int64_t i = 0; i < 7; ++i) {
      min = std::min(min, w[row][i].item<float>());
      max = std::max(max, w[row][i].item<float>());
    }
    const float scale = (max - min) / 7, offset = std::nearbyint(min / scale);
    for (int64_t i = 0; i < 7; ++i) {
      const float code = std::nearbyint(w[row][i].item<float>() / scale) - offset;
      EXPECT_EQ(encoding.codes[row][i].item<float>(), std::min(std::max(code, 0.0f), 7.0f));
    }
  }
}

TEST(Encoding, RoundsHalfToEven) {
  const at::Tensor w = at::tensor({-7.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 7.0f, -8.0f});
  const Range range{at::full({}, -8.0f), at::full({}, 7.0f)};
  const Encoding encoding = encode_rtn("w", w, Grid{.bits = 4}, range);
  EXPECT_TRUE(at::equal(encoding.codes.to(c10::ScalarType::Int), at::tensor({-7, 0, 2, 2, 0, -2, 7, -8})));
}

TEST(Encoding, CodesTakeTheSmallestDtype) {
  const at::Tensor w = random_weight({4, 4});
  const auto dtype = [&](int bits, bool symmetric) {
    return encode(w, Grid{.bits = bits, .symmetric = symmetric}).codes.scalar_type();
  };
  EXPECT_EQ(dtype(8, true), c10::ScalarType::Char);
  EXPECT_EQ(dtype(8, false), c10::ScalarType::Byte);
  EXPECT_EQ(dtype(16, true), c10::ScalarType::Short);
  EXPECT_EQ(dtype(16, false), c10::ScalarType::Int);
}

TEST(Encoding, SixteenBitsReachBothEnds) {
  for (const bool symmetric : {true, false}) {
    const at::Tensor w = at::tensor({-0.5f, 0.0f, 0.25f, 0.5f});
    const Encoding encoding = encode(w, Grid{.bits = 16, .symmetric = symmetric});
    EXPECT_LT((dequantize(encoding) - w).abs().max().item<double>(), 1e-5);
    EXPECT_LE(greatest(encoding.codes), encoding.grid.qmax());
  }
}

TEST(Encoding, AChannelOfZerosStaysZero) {
  for (const bool symmetric : {true, false}) {
    const at::Tensor w = random_weight({3, 8});
    w[1].zero_();
    const Encoding encoding = encode(w, Grid{.bits = 4, .symmetric = symmetric, .channel_axis = 0});
    EXPECT_TRUE(same_bits(dequantize(encoding)[1], at::zeros({8})));
    EXPECT_GT(encoding.scale.min().item<float>(), 0);
  }
}

TEST(Encoding, AChannelOfOneSignKeepsZeroOnTheGrid) {
  for (const bool symmetric : {true, false}) {
    const at::Tensor positive = random_weight({4, 16}).abs().add(0.2);
    for (const at::Tensor& w : {positive, positive.neg()}) {
      const Encoding encoding = encode(w, Grid{.bits = 8, .symmetric = symmetric, .channel_axis = 0});
      const at::Tensor zero_code = -encoding.offset;
      EXPECT_GE(least(zero_code), encoding.grid.qmin());
      EXPECT_LE(greatest(zero_code), encoding.grid.qmax());
      EXPECT_GT(encoding.sqnr_db, 35);
    }
  }
}

TEST(Encoding, NanAndInfinityAreNamed) {
  const at::Tensor w = random_weight({4, 24});
  w[0][0] = std::nan("");
  w[1][2] = INFINITY;
  w[3][5] = -INFINITY;
  const Range range{at::full({}, -1.0f), at::full({}, 1.0f)};
  EXPECT_EQ(error_of([&] { encode_rtn("encoder.query", w, Grid{.bits = 4}, range); }),
            "encoder.query: 3 of 96 values are NaN or infinite; mend the model or the data");
}

TEST(Encoding, IntegerWeightsAreRefused) {
  const at::Tensor w = at::tensor({1, 2, 3}, c10::ScalarType::Long);
  const Range range{at::full({}, -1.0f), at::full({}, 1.0f)};
  EXPECT_EQ(error_of([&] { encode_rtn("table", w, Grid{.bits = 4}, range); }),
            "table: values are Long; only floating-point tensors are quantized");
}

TEST(Encoding, SqnrInDecibel) {
  const at::Tensor x = at::full({10}, 2.0f);
  EXPECT_NEAR(sqnr_db(x, x + 0.2f), 20, 1e-4);
  EXPECT_EQ(sqnr_db(x, x), std::numeric_limits<double>::infinity());
}

// Two channels of two groups, as AIMET 2.42 wrote them (encodings 1.0.0, enc_type LPBQ).
TEST(Lpbq, PartsAreAimets) {
  const Grid grid{.bits = 4,
                  .channel_axis = 0,
                  .group_axis = 1,
                  .group_size = 4,
                  .form = lpbq_form(),
                  .block_scale_bits = 4};
  const at::Tensor scale =
      at::tensor({0.03754402697086334F, 0.04004696384072304F, 0.013194011524319649F, 0.042220838367938995F})
          .view({2, 2, 1});
  const auto [per_block, per_channel] = block_scales(scale, grid);
  EXPECT_TRUE(at::equal(per_block.flatten(), at::tensor({15.0F, 16.0F, 5.0F, 16.0F})));
  EXPECT_TRUE(same_bits(per_channel.flatten(), at::tensor({0.00250293524004519F, 0.002638802397996187F})));
  EXPECT_TRUE(same_bits(per_block * per_channel, scale));
}

TEST(Lpbq, ScalesAreIntegersTimesOneFloatPerChannel) {
  const Grid grid{.bits = 4,
                  .channel_axis = 0,
                  .group_axis = 1,
                  .group_size = 4,
                  .form = lpbq_form(),
                  .block_scale_bits = 4};
  const at::Tensor w = random_weight({5, 32});
  const Encoding encoding = encode(w, grid);
  const at::Tensor per_block = encoding.parts.at(kBlockScaleInt),
                   per_channel = encoding.parts.at(kChannelScale);
  EXPECT_EQ(per_channel.sizes(), at::IntArrayRef({5, 1, 1}));
  EXPECT_EQ(per_block.sizes(), at::IntArrayRef({5, 8, 1}));
  EXPECT_GE(per_block.min().item<int64_t>(), 1);
  EXPECT_TRUE(at::equal(per_block.amax({1, 2}), at::full({5}, 16, at::kShort)));
  EXPECT_TRUE(same_bits(encoding.scale, per_block * per_channel));
  const at::Tensor by_hand = split_groups(encoding.codes, grid) * encoding.scale;
  EXPECT_TRUE(same_bits(dequantize(encoding), join_groups(by_hand, w.sizes(), grid)));
}

TEST(Lpbq, TheFloatOfAChannelIsReplacedAsStored) {
  Grid grid{.bits = 4, .channel_axis = 0, .group_axis = 1, .group_size = 4};
  grid.form = lpbq_form(), grid.block_scale_bits = 4;
  for (const c10::ScalarType stored : {at::kFloat, at::kHalf}) {
    grid.scale_dtype = stored;
    const Encoding encoding = encode(random_weight({5, 32}), grid);
    Encoding longer = encoding;
    grid.form->replace_floats(longer, {.scale = grid.form->floats(encoding).scale * 1.1, .minimum = {}});
    EXPECT_TRUE(
        same_bits(longer.parts.at(kChannelScale), as_stored(encoding.parts.at(kChannelScale) * 1.1, grid)));
    const auto [per_block, per_channel] = block_scales(longer.scale, grid);
    EXPECT_TRUE(same_bits(per_channel, longer.parts.at(kChannelScale)));
    EXPECT_TRUE(at::equal(per_block.to(at::kShort), encoding.parts.at(kBlockScaleInt)));
    EXPECT_TRUE(same_bits(longer.scale, per_block * per_channel));
  }
}

TEST(Lpbq, NeedsGroupsAroundZero) {
  const std::string text =
      "w: decompressed_bw (LPBQ) needs groups on a symmetric grid; "
      "set group_size and symmetric, or decompressed_bw = 0";
  Grid grid{.bits = 4, .channel_axis = 0, .form = lpbq_form(), .block_scale_bits = 4};
  EXPECT_EQ(error_of([&] { check_grid("w", grid, {4, 8}); }), text);
  grid.group_axis = 1, grid.group_size = 4, grid.symmetric = false;
  EXPECT_EQ(error_of([&] { check_grid("w", grid, {4, 8}); }), text);
}

}  // namespace
}  // namespace adascale
