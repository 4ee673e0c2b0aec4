// AIMET's own training of two blocks, repeated step by step with our quantizer and a plain loop.
#include "golden/golden.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "adascale/quant/adascale_quantizer.h"
#include "adascale/quant/range_analyzer.h"

namespace adascale {
namespace {

const Grid kGrid{.bits = 4, .symmetric = true, .channel_axis = 0};

struct Layer {
  std::string key;
  at::Tensor w0, bias;
  Range start;
  bool is_conv;
  AdaScaleQuantizer quantizer;

  Layer(const golden::Tensors& data, const std::string& name)
      : key(name),
        w0(data.at(name + ".W0")),
        bias(data.at(name + ".bias")),
        start{data.at(name + ".min0"), data.at(name + ".max0")},
        is_conv(w0.dim() == 4),
        quantizer(w0, kGrid, start, is_conv ? 1 : -1) {}

  at::Tensor run(const at::Tensor& x, const at::Tensor& w) const {
    if (!is_conv) return at::linear(x, w, bias);
    const int64_t padding = w.size(2) / 2;
    return at::conv2d(x, w, bias, {1, 1}, {padding, padding});
  }
};

struct Block {
  Layer a, b;

  Block(const golden::Tensors& data, int index)
      : a(data, fmt::format("blk{}.a", index)), b(data, fmt::format("blk{}.b", index)) {}

  at::Tensor run_fp(const at::Tensor& x) const { return b.run(a.run(x, a.w0).relu(), b.w0); }
  at::Tensor run_quantized(const at::Tensor& x) const {
    return b.run(a.run(x, a.quantizer.quantized_weight()).relu(), b.quantizer.quantized_weight());
  }
};

struct Adam {
  std::vector<at::Tensor> params, m, v;
  double lr;

  Adam(std::vector<at::Tensor> learnables, double rate) : params(std::move(learnables)), lr(rate) {
    for (const at::Tensor& p : params) {
      m.push_back(at::zeros_like(p));
      v.push_back(at::zeros_like(p));
    }
  }

  void step(int64_t t, int64_t iterations) {
    const at::NoGradGuard no_grad;
    const double decayed = lr * (1 + std::cos(std::numbers::pi * t / iterations)) / 2;
    const double m_scale = 1 - std::pow(0.9, t + 1), v_scale = 1 - std::pow(0.999, t + 1);
    for (size_t i = 0; i < params.size(); ++i) {
      m[i].mul_(0.9).add_(params[i].grad(), 0.1);
      v[i].mul_(0.999).addcmul_(params[i].grad(), params[i].grad(), 0.001);
      params[i].sub_(decayed / m_scale * m[i] / ((v[i] / v_scale).sqrt() + 1e-8));
      params[i].mutable_grad().reset();
    }
  }
};

std::vector<at::Tensor> concat(std::vector<at::Tensor> x, const std::vector<at::Tensor>& y) {
  x.insert(x.end(), y.begin(), y.end());
  return x;
}

std::vector<double> train(const Block& block, const std::vector<at::Tensor>& inputs,
                          const std::vector<at::Tensor>& targets, const golden::Tensors& data) {
  const auto iterations = data.at("iters").item<int64_t>();
  const AdaScaleQuantizer &a = block.a.quantizer, &b = block.b.quantizer;
  Adam clip(concat(a.scale_learnables(), b.scale_learnables()), data.at("lr_beta_gamma").item<double>());
  Adam rounding(concat(a.rounding_learnables(), b.rounding_learnables()),
                data.at("lr_scales").item<double>());
  std::vector<double> losses;
  for (int64_t t = 0; t < iterations; ++t) {
    const size_t batch = t % inputs.size();
    const at::Tensor loss = (block.run_quantized(inputs[batch]) - targets[batch]).square().sum(1).mean();
    loss.backward();
    losses.push_back(loss.item<double>());
    clip.step(t, iterations);
    rounding.step(t, iterations);
  }
  return losses;
}

void expect_trained_like(const Layer& layer, const golden::Tensors& data) {
  SCOPED_TRACE(layer.key);
  const std::vector<std::string> names = {"beta", "gamma", "s2", "s3", "s4"};
  const std::vector<at::Tensor> learned = layer.quantizer.learnables();
  for (size_t i = 0; i < learned.size(); ++i)
    EXPECT_LT(golden::distance(learned[i], data.at(layer.key + "." + names[i])), 1e-4) << names[i];
  EXPECT_LT(golden::distance(layer.quantizer.divided_weight(), data.at(layer.key + ".Wfold")), 1e-5);
  const at::Tensor scale = layer.quantizer.encode(layer.key).scale;
  EXPECT_LT(golden::distance(scale * kGrid.qmin(), data.at(layer.key + ".min1")), 1e-5);
  EXPECT_LT(golden::distance(scale * kGrid.qmax(), data.at(layer.key + ".max1")), 1e-5);
}

void expect_losses_like(const std::vector<double>& losses, const at::Tensor& expected) {
  ASSERT_EQ(losses.size(), static_cast<size_t>(expected.numel()));
  for (size_t t = 0; t < losses.size(); ++t) {
    const double loss = expected[t].item<double>();
    EXPECT_NEAR(losses[t], loss, 1e-4 * loss) << "iteration " << t;
  }
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  // Tensors this small only lose time to threads, most of all on a busy machine.
  void SetUp() override { at::set_num_threads(1); }
};

TEST_P(Golden, StartRangesAreAimets) {
  const golden::Tensors data = golden::load(GetParam());
  for (const char* key : {"blk0.a", "blk0.b", "blk1.a", "blk1.b"}) {
    const Layer layer(data, key);
    const Range range = min_max_range(layer.w0, kGrid);
    EXPECT_LT(golden::distance(range.min, layer.start.min), 1e-7) << key;
    EXPECT_LT(golden::distance(range.max, layer.start.max), 1e-7) << key;
  }
}

TEST_P(Golden, RoundToNearestIsAimets) {
  const golden::Tensors data = golden::load(GetParam());
  const at::NoGradGuard no_grad;
  at::Tensor out = data.at("x").flatten(0, 1);
  for (int index : {0, 1}) out = Block(data, index).run_quantized(out);
  EXPECT_LT(golden::distance(out, data.at("out_rtn")), 1e-5);
}

TEST_P(Golden, TrainingIsAimets) {
  const golden::Tensors data = golden::load(GetParam());
  std::vector<at::Tensor> fp = data.at("x").unbind(0), quantized = fp;
  for (int index : {0, 1}) {
    const Block block(data, index);
    for (at::Tensor& x : fp) x = block.run_fp(x);
    expect_losses_like(train(block, quantized, fp, data), data.at(fmt::format("losses{}", index)));
    expect_trained_like(block.a, data);
    expect_trained_like(block.b, data);
    const at::NoGradGuard no_grad;
    for (at::Tensor& x : quantized) x = block.run_quantized(x);
  }
  EXPECT_LT(golden::distance(at::cat(fp), data.at("out_fp")), 1e-5);
  EXPECT_LT(golden::distance(at::cat(quantized), data.at("out_ada")), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Aimet, Golden, ::testing::Values("golden_linear", "golden_conv"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace adascale
