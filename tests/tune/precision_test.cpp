#include "adascale/tune/precision.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "adascale/tune/adascale.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

using testing::model_file;

std::vector<Inputs> batches_of(int count, uint64_t seed) {
  at::manual_seed(seed);
  std::vector<Inputs> batches;
  for (int i = 0; i < count; ++i) batches.push_back({at::randn({3, 3, 32, 64})});
  return batches;
}

/// The seed's model, trained with that precision.
QuantizationSimModel trained(int64_t bits, const std::string& precision, const std::string& recipe = "fast",
                             uint64_t data_seed = 3) {
  QuantizationSimModel sim(load_program(model_file("seed")),
                           {.default_param_bw = bits, .default_output_bw = kOffBits});
  AdaScaleOptions options{.recipe = recipe, .precision = precision};
  if (recipe_named(recipe).trains()) options.num_iterations = 128;
  apply_adascale(sim, batches_of(16, data_seed), options);
  return sim;
}

/// Squared error of its outputs, computed in fp32, on data not used in training.
double output_error(const QuantizationSimModel& sim) {
  double error = 0;
  for (const Inputs& batch : batches_of(8, 99)) {
    const at::Tensor exact = sim.run(batch, SimMode::kFloat)[0].toTensor();
    error += (sim.run(batch)[0].toTensor() - exact).square().sum().item<double>();
  }
  return error;
}

bool same_codes(const QuantizationSimModel& a, const QuantizationSimModel& b) {
  for (size_t i = 0; i < a.weights().size(); ++i)
    if (!a.weights()[i].encoding->codes.equal(b.weights()[i].encoding->codes)) return false;
  return true;
}

// One run's error varies with its data by more than the cost of bf16 (a tenth to a third), so the
// test uses the mean over several, with its standard error.
TEST(Precision, Bfloat16CostsLittleAtTheBitsItIsUsedFor) {
  std::vector<double> logarithms;
  for (const int64_t bits : {2, 3, 4})
    for (uint64_t data = 1; data <= 12; ++data) {
      SCOPED_TRACE(fmt::format("{} bits, data {}", bits, data));
      const QuantizationSimModel full = trained(bits, "float32", "fast", data),
                                 lower = trained(bits, "bfloat16", "fast", data),
                                 nearest = trained(bits, "float32", "clip", data);
      EXPECT_FALSE(same_codes(full, lower)) << "it was used";
      const double in_full = output_error(full), in_lower = output_error(lower);
      EXPECT_LT(in_full, output_error(nearest));
      EXPECT_LT(in_lower, output_error(nearest));
      logarithms.push_back(std::log(in_lower / in_full));
    }
  const at::Tensor costs = at::tensor(logarithms);
  const double mean = costs.mean().item<double>(),
               error = costs.std().item<double>() / std::sqrt(static_cast<double>(logarithms.size()));
  RecordProperty("bf16_error_over_fp32", fmt::format("{:.3f} +- {:.3f}", std::exp(mean), error));
  EXPECT_LT(error, 0.08) << "enough runs to tell";
  EXPECT_LT(mean - 2 * error, std::log(1.05));
}

TEST(Precision, MoreBitsTrainInFloat) {
  for (const int64_t bits : {5, 8}) {
    EXPECT_TRUE(same_codes(trained(bits, "float32"), trained(bits, "auto")));
    EXPECT_EQ(testing::error_of([&] { trained(bits, "bfloat16"); }),
              "precision: got bfloat16, but no weight takes it: fp32 ones of up to 4 bits do; use auto");
  }
}

TEST(Precision, AutoAsksTheRecipeAndTheCpu) {
  EXPECT_EQ(compute_type("auto", recipe_named("aimet"), at::kCPU), c10::ScalarType::Float);
  std::ifstream file("/proc/cpuinfo");
  const std::string cpu{std::istreambuf_iterator<char>(file), {}};
  const bool is_fast = cpu.find("avx512_bf16") != std::string::npos ||
                       cpu.find("amx_bf16") != std::string::npos || cpu.find(" bf16") != std::string::npos;
  EXPECT_EQ(compute_type("auto", recipe_named("fast"), at::kCPU) == c10::ScalarType::BFloat16, is_fast);
  EXPECT_EQ(compute_type("float32", recipe_named("fast"), at::kCPU), c10::ScalarType::Float);
}

TEST(Precision, ProductsOfFp32WeightsAreThoseNotQuantized) {
  SimOptions options{.default_output_bw = kOffBits};
  options.layer_config = parse_layer_config(R"({"linear_blocks.4.fc2": {"param_bw": 32}})");
  QuantizationSimModel sim(load_program(model_file("seed")), options);
  const std::vector<NodeId> products = products_of_fp32_weights(sim);
  ASSERT_EQ(products.size(), 1u);
  EXPECT_EQ(sim.program().nodes[products.front()].op(), "aten::linear");
  EXPECT_NE(sim.program().where(products.front()).find("linear_blocks.4.fc2"), std::string::npos);
}

TEST(Precision, AnotherNameIsRefused) {
  QuantizationSimModel sim(load_program(model_file("seed")), {.default_output_bw = kOffBits});
  const auto text = testing::error_of(
      [&] { apply_adascale(sim, batches_of(1, 3), AdaScaleOptions{.precision = "float16"}); });
  EXPECT_EQ(text, "precision: got 'float16', expected one of auto, float32, bfloat16");
}

}  // namespace
}  // namespace adascale
