#include "adascale/sim/placement.h"

#include <fmt/format.h>

#include <algorithm>

#include "error_text.h"
#include "sim/placement_models.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::placement_model;
using Names = std::vector<std::string>;
using Quantizers = std::vector<ActivationQuantizer>;

/// "fc1.input.0", in the order given.
Names names_of(const Quantizers& quantizers) {
  Names names;
  for (const auto& quantizer : quantizers)
    names.push_back(fmt::format("{}.{}.{}", quantizer.module, quantizer.port, quantizer.index));
  return names;
}

const SimOptions kA16 = {.default_output_bw = 16};

Names place(const std::string& model, const SimConfig& config = default_sim_config(),
            const SimOptions& options = kA16) {
  return names_of(place_activation_quantizers(placement_model(model), config, options));
}

SimConfig config_with(const std::function<void(SimConfig&)>& change) {
  SimConfig config = default_sim_config();
  change(config);
  return config;
}

TEST(Placement, SeedIsAsAimetPlacesIt) {
  Names expected = {"linear_blocks.0.fc1.input.0"};
  for (int block = 0; block < 5; ++block) {
    expected.push_back(fmt::format("linear_blocks.{}.relu1.output.0", block));
    expected.push_back(fmt::format("linear_blocks.{}.fc2.output.0", block));
  }
  expected.push_back("softmax.output.0");
  EXPECT_EQ(place("seed"), expected);
}

TEST(Placement, QuantizersSitOnTheValuesTheyName) {
  const Program program = placement_model("seed");
  const auto quantizers = place_activation_quantizers(program, default_sim_config(), kA16);
  EXPECT_TRUE(program.is_user_input(quantizers.front().value));
  EXPECT_EQ(program.values[quantizers[1].value].name, "relu");
  EXPECT_EQ(program.values[quantizers.back().value].name, "softmax");
  for (const auto& quantizer : quantizers) {
    EXPECT_EQ(quantizer.bits, 16);
    EXPECT_FALSE(quantizer.symmetric);
    EXPECT_FALSE(quantizer.encoding);
    EXPECT_EQ(quantizer.off_reason, "");
  }
}

TEST(Placement, ResidualNetworkFusesBatchNormAndAddWithTheirRelu) {
  const Names expected = {"stem.input.0",
                          "act.output.0",  // in place; the pool moves data
                          "blocks.0.relu.output.0",
                          "blocks.0.bn2.output.0",
                          "blocks.0.relu@1.output.0",  // the add is in the second call
                          "blocks.1.relu.output.0",
                          "blocks.1.bn2.output.0",
                          "blocks.1.relu@1.output.0",
                          "gap.output.0",
                          "head.output.0"};
  EXPECT_EQ(place("residual"), expected);
}

TEST(Placement, BertQuantizesWhatDependsOnItsTokens) {
  if (!std::filesystem::exists(testing::placement_model_file("bert"))) GTEST_SKIP() << "needs transformers";
  const std::string layer = "encoder.layer.0.";
  const Names expected = {
      "embeddings.word_embeddings.output.0",  // those of types and positions are constants
      "add.output.0",
      "add_1.output.0",
      "embeddings.LayerNorm.output.0",
      layer + "attention.self.query.output.0",
      layer + "attention.self.key.output.0",
      layer + "attention.self.value.output.0",
      "scaled_dot_product_attention.output.0",
      layer + "attention.output.dense.output.0",
      "add_4.output.0",
      layer + "attention.output.LayerNorm.output.0",
      layer + "intermediate.dense.output.0",
      layer + "intermediate.intermediate_act_fn.output.0",
      layer + "output.dense.output.0",
      "add_5.output.0",
      layer + "output.LayerNorm.output.0",
      "pooler.dense.output.0",
      "pooler.activation.output.0"};
  EXPECT_EQ(place("bert"), expected);
}

TEST(Placement, LeafModuleOfManyOperatorsHasOneQuantizerAndSecondCallsTheirLabel) {
  EXPECT_EQ(place("norms"), (Names{"norm.input.0", "norm.output.0", "fc.output.0", "silu.output.0",
                                   "mul_2.output.0", "fc@1.output.0"}));
}

TEST(Placement, MovedDataMasksAndConstantsHaveNone) {
  EXPECT_EQ(place("movement"),
            (Names{"qkv.input.0", "qkv.output.0", "qkv.output.1", "qkv.output.2", "mul.output.0",
                   "matmul.output.0", "masked_fill.output.0", "add_1.output.0", "softmax.output.0",
                   "matmul_1.output.0", "add_2.output.0"}));
}

TEST(Placement, ViewOfAnotherOutputSharesItsQuantizer) {
  EXPECT_EQ(place("views"), (Names{"pair.input.0", "pair.output.0", "exp.output.0", "sin.output.0"}));
}

TEST(Placement, ValuesUsedForTheirShapeOrNotAtAllHaveNone) {
  EXPECT_EQ(place("shapes"), (Names{"fc.input.0", "fc.output.0", "mul.output.0"}));
}

TEST(Placement, FusesOnlyWhatNobodyElseReads) {
  EXPECT_EQ(
      place("fusions"),
      (Names{"alone.input.0", "relu.output.0", "relu_1.output.0", "read_twice.output.0", "relu_2.output.0",
             "add.output.0", "returned.output.0", "relu_3.output.0", "viewed.output.0", "relu_4.output.0"}));
}

TEST(Placement, ModuleWithChildrenThatAreNeverCalledIsNoLeaf) {
  EXPECT_EQ(place("attention"), (Names{"linear.input.0", "linear.output.0",
                                       "scaled_dot_product_attention.output.0", "linear_1.output.0"}));
}

TEST(Placement, TensorFilledInPlaceIsQuantizedPieceByPiece) {
  EXPECT_EQ(place("filled"), (Names{"fc.input.0", "fc.output.0", "out.output.0"}));
}

TEST(Placement, NodeNamedLikeAModuleGivesWay) {
  EXPECT_EQ(place("clash"), (Names{"functional.add.input.0", "functional.add.output.0", "add.output.0"}));
}

TEST(Placement, CastsFromIntegersFollowTheConfig) {
  EXPECT_EQ(place("casts"), (Names{"fc.output.0", "mul.output.0"}));
  const SimConfig config = config_with([](SimConfig& c) { c.op_types["Cast"].is_output_quantized = true; });
  EXPECT_EQ(place("casts", config), (Names{"to.output.0", "fc.output.0", "to_1.output.0", "mul.output.0"}));
}

TEST(Placement, ResultsOfOneOperatorKeepTheirPlaces) {
  EXPECT_EQ(place("recurrent"), (Names{"lstm.input.0", "lstm.output.1", "lstm.output.2", "add.output.0"}));
}

TEST(Placement, OpTypeWithoutOutputQuantizerGetsNone) {
  const SimConfig config =
      config_with([](SimConfig& c) { c.op_types["Softmax"].is_output_quantized = false; });
  EXPECT_EQ(place("seed", config).back(), "linear_blocks.4.fc2.output.0");
}

TEST(Placement, ModelOutputIsQuantizedOnDemand) {
  const SimConfig config = config_with([](SimConfig& c) {
    c.op_types["Softmax"].is_output_quantized = false;
    c.quantize_model_output = true;
  });
  EXPECT_EQ(place("seed", config).back(), "softmax.output.0");
  EXPECT_EQ(place("movement", config).back(), "add_2.output.0") << "the reshape after it shares its encoding";
  const SimConfig bare = config_with([&](SimConfig& c) {
    c = config;
    c.op_types["Add"].is_output_quantized = false;
  });
  EXPECT_EQ(place("movement", bare).back(), "reshape.output.0");
}

TEST(Placement, ModelInputIsLeftBareOnDemand) {
  const SimConfig config = config_with([](SimConfig& c) { c.quantize_model_input = false; });
  EXPECT_EQ(place("seed", config).front(), "linear_blocks.0.relu1.output.0");
}

TEST(Placement, InputQuantizersStandWhereNoOtherCoversTheValue) {
  const SimConfig config = config_with([](SimConfig& c) {
    c.defaults.is_output_quantized = false;
    c.quantize_model_input = false;
    c.op_types["Gemm"].is_input_quantized = true;
  });
  Names expected = {"linear_blocks.0.fc1.input.0"};
  for (int block = 0; block < 5; ++block) {
    expected.push_back(fmt::format("linear_blocks.{}.fc2.input.0", block));  // the dropout's result
    if (block < 4) expected.push_back(fmt::format("linear_blocks.{}.fc1.input.0", block + 1));
  }
  EXPECT_EQ(place("seed", config), expected);
  const SimConfig covered = config_with([](SimConfig& c) { c.op_types["Gemm"].is_input_quantized = true; });
  EXPECT_EQ(place("seed", covered), place("seed"));
}

TEST(Placement, MovementIsQuantizedWhenItsTypeIsNamed) {
  const SimConfig config =
      config_with([](SimConfig& c) { c.op_types["MaxPool"].is_output_quantized = true; });
  const Names names = place("residual", config);
  EXPECT_EQ((Names{names.begin(), names.begin() + 3}),
            (Names{"stem.input.0", "act.output.0", "pool.output.0"}));
}

TEST(Placement, WithoutSupergroupsEveryUnitIsQuantized) {
  const SimConfig config = config_with([](SimConfig& c) { c.supergroups.clear(); });
  EXPECT_EQ(place("seed", config).size(), 1u + 5 * 3 + 1);
}

TEST(Placement, LongestSupergroupWins) {
  const SimConfig config = config_with([](SimConfig& c) {
    c.supergroups = {{"Gemm", "Relu"}, {"Gemm", "Relu", "Gemm"}};
  });
  EXPECT_EQ(place("seed", config).size(), 1u + 5 + 1);  // the dropout between ReLU and Gemm vanishes
}

TEST(Placement, SymmetryIsTheOpTypesOrTheDefaults) {
  const SimConfig config = config_with([](SimConfig& c) {
    c.defaults.is_symmetric = true;
    c.op_types["Softmax"].is_symmetric = false;
  });
  const auto quantizers = place_activation_quantizers(placement_model("seed"), config, kA16);
  EXPECT_TRUE(quantizers.front().symmetric);
  EXPECT_TRUE(quantizers[1].symmetric);
  EXPECT_FALSE(quantizers.back().symmetric);
}

TEST(Placement, RootMeanSquareNormHasItsOwnType) {
  const SimConfig config =
      config_with([](SimConfig& c) { c.op_types["RMSNormalization"].is_output_quantized = false; });
  EXPECT_EQ(place("norms", config)[1], "fc.output.0");
}

/// The bits of each quantizer of the seed, by name.
std::map<std::string, int> seed_bits(const LayerConfig& layer_config, int64_t default_bw = 16) {
  const SimOptions options = {.default_output_bw = default_bw, .layer_config = layer_config};
  std::map<std::string, int> bits;
  for (const auto& quantizer :
       place_activation_quantizers(placement_model("seed"), default_sim_config(), options))
    bits[fmt::format("{}.{}", quantizer.module, quantizer.port)] = quantizer.bits;
  return bits;
}

TEST(OutputBits, ComeFromThePatternThatMatchesLast) {
  const auto bits = seed_bits({{"linear_blocks.*", {.output_bw = 8}}, {"*.fc2", {.output_bw = 6}}});
  EXPECT_EQ(bits.at("linear_blocks.3.relu1.output"), 8);
  EXPECT_EQ(bits.at("linear_blocks.3.fc2.output"), 6);
  EXPECT_EQ(bits.at("softmax.output"), 16);
  EXPECT_EQ(bits.at("linear_blocks.0.fc1.input"), 16) << "a layer's output, not what goes in";
}

TEST(OutputBits, ReachTheEndOfTheLayersSupergroup) {
  EXPECT_EQ(seed_bits({{"linear_blocks.1.fc1", {.output_bw = 8}}}).at("linear_blocks.1.relu1.output"), 8);
  const auto by_kind = seed_bits({{"Linear", {.output_bw = 8}}});
  EXPECT_EQ(by_kind.at("linear_blocks.1.relu1.output"), 8);
  EXPECT_EQ(by_kind.at("linear_blocks.1.fc2.output"), 8);
  EXPECT_EQ(by_kind.at("softmax.output"), 16);
}

TEST(OutputBits, ThirtyTwoIsOff) {
  EXPECT_TRUE(seed_bits({}, kOffBits).empty());
  EXPECT_EQ(seed_bits({{"*", {.output_bw = 32}}, {"softmax", {.output_bw = 8}}}).size(),
            2u);  // and the model input
  EXPECT_EQ(seed_bits({{"softmax", {.output_bw = 8}}}, kOffBits).size(), 1u);
}

TEST(InputBits, AreThoseOfWhatTheLayerReads) {
  const auto bits = seed_bits({{"linear_blocks.1.fc2", {.input_bw = 8}}, {"*.0.fc1", {.input_bw = 6}}});
  EXPECT_EQ(bits.at("linear_blocks.1.relu1.output"), 8);
  EXPECT_EQ(bits.at("linear_blocks.2.relu1.output"), 16);
  EXPECT_EQ(bits.at("linear_blocks.0.fc1.input"), 6) << "the model's input";
}

TEST(InputBits, MakeAQuantizerWhereThereWasNone) {
  const auto bits = seed_bits({{"linear_blocks.1.fc2", {.input_bw = 8}}}, kOffBits);
  EXPECT_EQ(bits, (std::map<std::string, int>{{"linear_blocks.1.fc2.input", 8}}));
}

TEST(InputBits, ThirtyTwoTakesTheQuantizerAway) {
  EXPECT_EQ(seed_bits({{"linear_blocks.1.fc2", {.input_bw = 32}}}).count("linear_blocks.1.relu1.output"), 0u);
}

TEST(InputBits, SymmetryGoesWithThem) {
  const SimOptions options = {
      .default_output_bw = 16,
      .layer_config = {{"*.fc2", {.output_symmetric = true}}, {"*.fc1", {.input_symmetric = true}}}};
  for (const auto& quantizer :
       place_activation_quantizers(placement_model("seed"), default_sim_config(), options)) {
    const bool asked = quantizer.module.ends_with("fc2") || quantizer.port == "input";
    EXPECT_EQ(quantizer.symmetric, asked) << quantizer.module;
  }
}

TEST(OutputBits, StayOffWhereTheConfigAsksForModelOutputs) {
  const SimConfig config = config_with([](SimConfig& c) { c.quantize_model_output = true; });
  const SimOptions options = {.default_output_bw = 16, .layer_config = {{"softmax", {.output_bw = 32}}}};
  EXPECT_EQ(place("seed", config, options).back(), "linear_blocks.4.fc2.output.0");
}

TEST(OutputBits, PatternsReachOperatorsByModuleOrNode) {
  const SimOptions options = {.default_output_bw = 16, .layer_config = {{"silu", {.output_bw = 32}}}};
  const Names names = place("norms", default_sim_config(), options);
  EXPECT_EQ(std::count(names.begin(), names.end(), "silu.output.0"), 0);
  EXPECT_EQ(std::count(names.begin(), names.end(), "mul_2.output.0"), 1);
}

TEST(OutputBits, PatternThatMatchesNothingIsRefused) {
  EXPECT_EQ(error_of([] {
              seed_bits({{"sofmax", {.output_bw = 8}}});
            }),
            "layer_config: pattern 'sofmax' sets output_bw but matches no module or operator "
            "whose output is quantized; print(sim) or `adascale inspect` lists them; did you mean softmax?");
  EXPECT_NE(error_of([] {
              seed_bits({{"*.dropout", {.output_bw = 8}}});
            }).find("'*.dropout'"),
            std::string::npos)
      << "a dropout has no output quantizer to set";
  EXPECT_NO_THROW(seed_bits({{"nothing", {.param_bw = 4}}}))
      << "weights' patterns are checked with the weights";
}

}  // namespace
}  // namespace adascale
