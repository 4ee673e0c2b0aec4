// target_bits and target_size: what is refused, what is chosen, what the plan says of it.
#include "adascale/run/bit_choice.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>

#include <map>
#include <nlohmann/json.hpp>

#include "adascale/run/bit_text.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/quantize.h"
#include "adascale/run/weight_size.h"
#include "error_text.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

const Doors kDoors = {pt2_door()};

class BitChoiceTest : public RunTest {
 protected:
  QuantizeRequest target(double bits) const {
    QuantizeRequest asked = request();
    asked.formats = {"safetensors"};
    asked.target_bits = bits;
    return asked;
  }
  /// A language model of two blocks, logits over 24 tokens.
  QuantizeRequest language(double bits) const {
    QuantizeRequest asked = target(bits);
    asked.model = model_file("language");
    asked.data.files = {data("ids.safetensors", {{"input_ids", at::randint(0, 24, {8, 7}, at::kLong)},
                                                 {"attention_mask", at::ones({8, 7}, at::kLong)}})};
    return asked;
  }
  static std::string refusal(const QuantizeRequest& asked) {
    return error_of([&] { plan_run(asked, kDoors); });
  }
  static std::map<std::string, int> bits_of(const RunPlan& plan) {
    std::map<std::string, int> bits;
    for (const QuantizedWeight& weight : plan.parts.front().sim.weights())
      bits[weight.layer.name] = weight.grid.bits;
    return bits;
  }
};

TEST_F(BitChoiceTest, ContradictionsAreRefusedAtOnce) {
  QuantizeRequest asked = target(3.5);
  asked.target_size = "90 parsec";
  asked.target_widths = {2, 4.5};
  asked.sim.default_param_bw = 3;
  asked.model = "nowhere.pt2";
  const std::string error = refusal(asked);
  EXPECT_HAS(error, "target_bits and target_size: both are given, expected one of them");
  EXPECT_HAS(error, "target_size: got '90 parsec', expected a size such as 90MB or 1.5GiB");
  EXPECT_HAS(error, "target_widths: got 4.5, expected whole numbers");
  EXPECT_HAS(
      error,
      "default_param_bw = 3: is for all layers, and target_size = \"90 parsec\" chooses for each; leave "
      "out one of them");
}

TEST_F(BitChoiceTest, WhatLeavesNoChoiceIsRefused) {
  QuantizeRequest asked = request();
  asked.target_widths = {2, 4};
  EXPECT_EQ(refusal(asked), "target_widths: is for a target; add target_bits or target_size");
  asked = target(4.5);
  asked.sim.grid = "mxfp4";
  EXPECT_EQ(refusal(asked),
            "target_bits 4.5: grid mxfp4 has 4 bits alone, nothing can be chosen; leave it out, or give grid "
            "= \"int\"");
  asked = target(4.5);
  asked.target_widths = {4};
  EXPECT_EQ(refusal(asked),
            "target_bits 4.5: of the widths 4, safetensors hold 4, expected two or more to choose from; name "
            "other formats "
            "(formats) or widths (target_widths)");
  asked = target(4.5);
  asked.sim.layer_config = {{"*", {.param_bw = 4}}};
  EXPECT_EQ(refusal(asked),
            "target_bits 4.5: each of the 5 quantized layers has one width alone, nothing can be chosen; "
            "leave it out, "
            "or give fewer layers their bits (layer_config)");
}

TEST_F(BitChoiceTest, WhatIsOutOfReachNamesWhatIsNot) {
  // Four weights of 16 x 32 with a float for each of 32, 16, 32 and 16 rows: 8.5 bytes of a row's floats a weight.
  const std::string expected =
      "out of reach, expected 3.50 bits to 9.50 bits with widths of 2 to 8; give a target in between, or "
      "another "
      "group_size";
  EXPECT_EQ(refusal(target(1.5)), "target_bits 1.5: " + expected);
  EXPECT_EQ(refusal(target(9.75)), "target_bits 9.75: " + expected);
  QuantizeRequest beside = target(3);
  beside.outside_bw = 8;
  EXPECT_HAS(refusal(beside), " beside 1 layer whose bits are fixed (outside_bw, layer_config); give a");
  QuantizeRequest asked = target(0);
  asked.formats = {"safetensors"};
  asked.target_size = "2kB";
  EXPECT_HAS(refusal(asked),
             "target_size = \"2kB\": safetensors stores numbers in the model's dtype, as many bytes at all "
             "widths; name a packed format (formats), or give target_bits");
}

TEST_F(BitChoiceTest, FillsTheTargetAndNoMore) {
  for (const double bits : {3.5, 4.0, 5.2, 7.0, 9.5}) {
    const RunPlan plan = plan_run(target(bits), kDoors);
    ASSERT_TRUE(plan.bits);
    const ModelSize size = size_of(plan.to_write());
    EXPECT_EQ(plan.bits->bytes, size.layers_after) << "the plan's own sum";
    EXPECT_LE(plan.bits->mean_bits(), bits);
    EXPECT_EQ(plan.bits->weights, 4 * 16 * 32);
    EXPECT_GT(plan.bits->mean_bits(), bits - 2.01 / 4) << "a step of a layer would not fit";
    for (const BitChoice::Part& part : plan.bits->parts)
      for (const std::string& layer : part.layers) EXPECT_EQ(bits_of(plan).at(layer), part.width) << layer;
  }
}

TEST_F(BitChoiceTest, IsTheSameAgain) {
  const QuantizeRequest asked = language(5);
  const RunPlan plan = plan_run(asked, kDoors), again = plan_run(asked, kDoors);
  EXPECT_EQ(bits_json(*plan.bits), bits_json(*again.bits));
  EXPECT_EQ(hash_of(plan), hash_of(again));
  EXPECT_TRUE(plan.bits->is_divergence);
  EXPECT_GT(plan.bits->loss, 0);
}

/// The layer that the output depends on more gets more bits: the second block's output is made nearly nothing.
TEST_F(BitChoiceTest, LayersThatMatterGetTheBits) {
  QuantizeRequest asked = target(5.5);
  asked.target_widths = {2, 6};
  asked.model = model_file("faint");
  const auto bits = bits_of(plan_run(asked, kDoors));
  EXPECT_EQ(bits.at("blocks.0.fc1"), 6);
  EXPECT_EQ(bits.at("blocks.0.fc2"), 6);
  EXPECT_EQ(bits.at("blocks.1.fc1"), 2);
  EXPECT_EQ(bits.at("blocks.1.fc2"), 2);
}

TEST_F(BitChoiceTest, LayersThatReadOneValueChooseTogether) {
  QuantizeRequest asked = target(5);
  asked.model = model_file("attention");
  const RunPlan plan = plan_run(asked, kDoors);
  std::vector<std::vector<std::string>> parts;
  for (const BitChoice::Part& part : plan.bits->parts) parts.push_back(part.layers);
  EXPECT_EQ(parts, (std::vector<std::vector<std::string>>{{"blocks.0.q", "blocks.0.k", "blocks.0.v"},
                                                          {"blocks.0.o"},
                                                          {"blocks.0.gate", "blocks.0.up"},
                                                          {"blocks.0.down"}}));
}

TEST_F(BitChoiceTest, GivenLayersKeepTheirBitsAndCount) {
  QuantizeRequest asked = target(6);
  asked.sim.layer_config = {{"blocks.1.fc2", {.param_bw = 8}}};
  asked.outside_bw = 8;
  const RunPlan plan = plan_run(asked, kDoors);
  EXPECT_EQ(bits_of(plan).at("blocks.1.fc2"), 8);
  EXPECT_EQ(bits_of(plan).at("head"), 8);
  EXPECT_EQ(plan.bits->weights, 4 * 16 * 32 + 16 * 5);
  EXPECT_EQ(plan.bits->bytes, size_of(plan.to_write()).layers_after);
  EXPECT_LE(plan.bits->mean_bits(), 6);
  EXPECT_HAS(describe(plan), ", 2 fixed\n");
  EXPECT_HAS(describe(plan), " expected of rounding alone without what is fixed; ");
  for (const BitChoice::Part& part : plan.bits->parts) EXPECT_TRUE(!part.is_fixed || part.width == 8);
}

TEST_F(BitChoiceTest, LayersOutsideThatAreTrainedChooseToo) {
  QuantizeRequest asked = language(6);
  asked.training.train_outside = true;
  RunPlan plan = plan_run(asked, kDoors);
  size_t outside = 0;
  for (const BitChoice::Part& part : plan.bits->parts) {
    EXPECT_FALSE(part.is_fixed) << part.layers.front();
    EXPECT_GT(part.loss, 0) << part.layers.front();
    outside += part.layers.front().starts_with("blocks.") ? 0 : part.layers.size();
  }
  EXPECT_EQ(outside, plan.parts.front().outside.size());
  EXPECT_GT(outside, 0);
  EXPECT_EQ(plan.bits->bytes, size_of(plan.to_write()).layers_after);
  EXPECT_LE(plan.bits->mean_bits(), 6);
  EXPECT_HAS(describe(plan), "left in full precision\n  (nothing)\n");
  EXPECT_HAS(describe(plan), " iterations per block, each layer outside as one, seed ");
  run(plan, {});
  const auto report = nlohmann::json::parse(read_bytes(path("out/report.json")));
  EXPECT_EQ(report.at("blocks").size(), 2 + outside) << "each one is trained";
  asked.outside_bw = 8;  // their own bits
  const RunPlan given = plan_run(asked, kDoors);
  for (const BitChoice::Part& part : given.bits->parts)
    EXPECT_EQ(part.is_fixed, !part.layers.front().starts_with("blocks."));
}

TEST_F(BitChoiceTest, FixedLayersThatReadOneValueKeepTheirOwnBits) {
  QuantizeRequest asked = target(5);
  asked.model = model_file("attention");
  asked.sim.layer_config = {{"*.q", {.param_bw = 4}}, {"*.k", {.param_bw = 4}}, {"*.v", {.param_bw = 8}}};
  const RunPlan plan = plan_run(asked, kDoors);
  std::map<std::vector<std::string>, int> fixed;
  for (const BitChoice::Part& part : plan.bits->parts)
    if (part.is_fixed) fixed[part.layers] = part.width;
  EXPECT_EQ(fixed, (std::map<std::vector<std::string>, int>{{{"blocks.0.q", "blocks.0.k"}, 4},
                                                            {{"blocks.0.v"}, 8}}));
}

TEST_F(BitChoiceTest, ThePlanAndTheReportSayWhatAndWhy) {
  const QuantizeRequest asked = language(5);
  RunPlan plan = plan_run(asked, kDoors);
  const std::string text = describe(plan);
  EXPECT_HAS(text, fmt::format("bits      mean {:.3f} of at most 5.000: ", plan.bits->mean_bits()));
  EXPECT_HAS(text, fmt::format("          KL {:.3g} expected of rounding alone; ", plan.bits->loss));
  run(plan, {});
  const auto report = nlohmann::json::parse(read_bytes(path("out/report.json")));
  EXPECT_EQ(report.at("bits").at("measure"), "divergence");
  EXPECT_EQ(report.at("bits").at("choices").size(), plan.bits->parts.size());
  EXPECT_EQ(report.at("bits").at("uniform").size(), 2);
}

TEST_F(BitChoiceTest, ADryRunReadsNoWeightsAndSaysSo) {
  QuantizeRequest asked = target(5);
  asked.model = model_file("nan_weight");
  EXPECT_HAS(refusal(asked), "blocks.0.fc1: the weight holds NaN");
  asked.dry_run = true;
  const RunPlan plan = plan_run(asked, kDoors);
  EXPECT_LE(plan.bits->mean_bits(), 5);
  EXPECT_HAS(describe(plan), "as if all weights were equally sensitive: a run reads them");
  EXPECT_HAS(describe(plan), "; 4 bits for all would be 5.50 bits a weight\n");
}

}  // namespace
}  // namespace adascale::testing
