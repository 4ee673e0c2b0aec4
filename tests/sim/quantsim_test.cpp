#include "adascale/sim/quantsim.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>

#include "adascale/sim/sim_editor.h"
#include "formats/model_files.h"
#include "graph/programs.h"

namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::error_of;
using testing::example_input;
using testing::model_file;
using testing::w4a16;

const SimOptions kWeights4{.default_param_bw = 4, .default_output_bw = kOffBits};

at::Tensor run(const QuantizationSimModel& sim, const at::Tensor& x, SimMode mode = SimMode::kSimulate) {
  return sim.run({x}, mode)[0].toTensor();
}

double distance(const at::Tensor& x, const at::Tensor& y) {
  return x.sub(y).abs().max().item<double>();
}

TEST(QuantSim, FloatModeIsTheProgram) {
  const Program program = load_program(model_file("seed"));
  const at::Tensor x = example_input("seed");
  const QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  EXPECT_EQ(distance(run(sim, x, SimMode::kFloat), run_program(program, {x})[0].toTensor()), 0);
}

TEST(QuantSim, EverythingOffIsTheProgram) {
  const QuantizationSimModel sim(load_program(model_file("seed")),
                                 {.default_param_bw = kOffBits, .default_output_bw = kOffBits});
  const at::Tensor x = example_input("seed");
  EXPECT_TRUE(sim.weights().empty());
  EXPECT_TRUE(sim.activations().empty());
  EXPECT_EQ(sim.unquantized().excluded.size(), 10u);
  EXPECT_EQ(distance(run(sim, x), run(sim, x, SimMode::kFloat)), 0);
}

TEST(QuantSim, ActivationsPassThroughBeforeCalibration) {
  const QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  const at::Tensor x = example_input("seed");
  EXPECT_FALSE(sim.activations().empty());
  EXPECT_EQ(distance(run(sim, x), run(sim, x, SimMode::kWeightsOnly)), 0);
}

TEST(QuantSim, CalibrationSetsEveryActivation) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  EXPECT_TRUE(sim.is_calibrated());
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    ASSERT_TRUE(quantizer.encoding) << quantizer.module;
    EXPECT_LE(quantizer.encoding->min, 0);
    EXPECT_GE(quantizer.encoding->max, 0);
  }
  const at::Tensor x = example_input("seed");
  EXPECT_GT(distance(run(sim, x), run(sim, x, SimMode::kWeightsOnly)), 0);
  EXPECT_LT(distance(run(sim, x), run(sim, x, SimMode::kWeightsOnly)), 1e-3) << "16 bits are nearly exact";
}

TEST(QuantSim, EightBitActivationsCostMoreThanSixteen) {
  const at::Tensor x = example_input("residual");
  SimOptions options{.default_param_bw = kOffBits};
  const auto error = [&](int64_t bits) {
    options.default_output_bw = bits;
    const QuantizationSimModel sim = calibrated_sim("residual", options);
    return distance(run(sim, x), run(sim, x, SimMode::kFloat));
  };
  EXPECT_GT(error(8), error(16));
  EXPECT_GT(error(4), error(8));
}

class Schemes : public ::testing::TestWithParam<QuantScheme> {};

TEST_P(Schemes, CalibrateWeightsAndActivations) {
  const QuantizationSimModel sim = calibrated_sim("seed", {.quant_scheme = GetParam()});
  const at::Tensor x = example_input("seed");
  EXPECT_LT(distance(run(sim, x), run(sim, x, SimMode::kFloat)), 0.02);
}

INSTANTIATE_TEST_SUITE_P(All, Schemes,
                         ::testing::Values(QuantScheme::post_training_tf,
                                           QuantScheme::post_training_tf_enhanced,
                                           QuantScheme::post_training_percentile,
                                           QuantScheme::training_range_learning_with_tf_init,
                                           QuantScheme::training_range_learning_with_tf_enhanced_init),
                         [](const auto& each) { return to_string(each.param); });

TEST(QuantSim, AFailedCalibrationChangesNothing) {
  QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  const at::Tensor x = example_input("seed");
  EXPECT_THROW(sim.compute_encodings([&](QuantizationSimModel& model) {
    model(x);
    throw std::runtime_error("the user's own");
  }),
               std::runtime_error);
  EXPECT_FALSE(sim.is_calibrated());
  EXPECT_FALSE(sim.activations().front().encoding);
  EXPECT_EQ(error_of([&] { sim.compute_encodings([](QuantizationSimModel&) {}); }),
            "compute_encodings: the forward pass never ran the model; call it on representative data");
}

TEST(QuantSim, NaNInCalibrationNamesTheActivation) {
  QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  at::Tensor x = example_input("seed");
  x.view({-1})[5] = std::numeric_limits<float>::quiet_NaN();
  const auto text = error_of([&] { sim.compute_encodings([&](QuantizationSimModel& model) { model(x); }); });
  EXPECT_NE(text.find("linear_blocks.0.fc1"), std::string::npos) << text;
  EXPECT_NE(text.find("NaN"), std::string::npos) << text;
}

TEST(QuantSim, MinusInfinityTurnsAQuantizerOffAndSaysWhy) {
  const QuantizationSimModel sim = calibrated_sim("masked", w4a16());
  int off = 0;
  for (const ActivationQuantizer& quantizer : sim.activations()) off += !quantizer.off_reason.empty();
  EXPECT_EQ(off, 1);
  EXPECT_NE(sim.describe().find("stand for minus infinity"), std::string::npos);
  EXPECT_TRUE(run(sim, example_input("masked")).isfinite().all().item<bool>());
}

TEST(QuantSim, TiedWeightsAreOneQuantizer) {
  const QuantizationSimModel sim(load_program(model_file("tied")), kWeights4);
  ASSERT_EQ(sim.weights().size(), 2u);
  const Layer& tied = sim.weights()[0].layer;
  EXPECT_EQ(tied.nodes.size(), 2u);
  EXPECT_EQ(tied.kind->name, "Linear") << "a kind with a channel axis wins";
}

TEST(QuantSim, FoldPutsTheCodesValuesIntoTheStateAndKeepsTheProgram) {
  QuantizationSimModel sim(load_program(model_file("seed")), kWeights4);
  const std::string name = sim.weights()[0].layer.parameters.front();
  const at::Tensor before = sim.state(name).clone(), expected = sim.dequantized_weight(0);
  SimEditor(sim).fold(0, sim.weight_encoding(0), false);
  EXPECT_EQ(distance(sim.state(name), expected), 0);
  EXPECT_EQ(distance(sim.program().state.at(name), before), 0) << "the user's tensor is as it was";
  EXPECT_EQ(distance(dequantize(sim.weight_encoding(0)), expected), 0);
}

TEST(QuantSim, FoldInPlaceWritesTheProgramsTensor) {
  SimOptions options = kWeights4;
  options.in_place = true;
  QuantizationSimModel sim(load_program(model_file("seed")), options);
  const std::string name = sim.weights()[0].layer.parameters.front();
  const at::Tensor own = sim.program().state.at(name), expected = sim.dequantized_weight(0);
  SimEditor(sim).fold(0, sim.weight_encoding(0), false);
  EXPECT_EQ(distance(own, expected), 0);
  EXPECT_NO_THROW(run(sim, example_input("seed")));
}

TEST(QuantSim, OnDemandGivesTheSameAndKeepsNoValues) {
  SimOptions options = kWeights4;
  options.on_demand = true;
  QuantizationSimModel sim(load_program(model_file("seed")), options),
      kept(load_program(model_file("seed")), kWeights4);
  const std::string name = sim.weights()[0].layer.parameters.front();
  for (QuantizationSimModel* each : {&sim, &kept}) SimEditor(*each).fold(0, each->weight_encoding(0), false);
  EXPECT_TRUE(sim.state(name).equal(kept.state(name)));
  const at::Tensor once = sim.state(name);
  EXPECT_FALSE(once.is_alias_of(sim.state(name))) << "made for each read";
  EXPECT_EQ(distance(run(sim, example_input("seed")), run(kept, example_input("seed"))), 0);
  Encoding elsewhere = *sim.weights()[0].encoding;
  elsewhere.codes = elsewhere.codes.clone();
  SimEditor(sim).move_encoding(0, elsewhere);
  EXPECT_TRUE(sim.dequantized_weight(0).equal(kept.dequantized_weight(0)));
  sim.compute_encodings([](QuantizationSimModel& model) { model(example_input("seed")); });
  kept.compute_encodings([](QuantizationSimModel& model) { model(example_input("seed")); });
  for (const QuantizedWeight& weight : sim.weights()) {
    const std::string& parameter = weight.layer.parameters.front();
    EXPECT_TRUE(sim.state(parameter).equal(kept.state(parameter))) << parameter;
  }
}

TEST(QuantSim, ARefusalInPlaceLeavesTheBatchNormsUnfolded) {
  const Program given =
      load_program(testing::made_by("graph/make_batch_norms.py", "batch_norms") / "resnet.pt2");
  std::map<std::string, at::Tensor> before;
  for (const auto& [name, tensor] : given.state) before[name] = tensor.detach().clone();
  const SimOptions options{
      .layer_config = {{"typo", {.output_bw = 8}}}, .fold_batch_norms = true, .in_place = true};
  EXPECT_NE(error_of([&] {
              QuantizationSimModel(given, options);
            }).find("pattern 'typo' sets output_bw but matches no"),
            std::string::npos);
  for (const auto& [name, tensor] : given.state) EXPECT_TRUE(tensor.detach().equal(before.at(name))) << name;
}

TEST(QuantSim, AnEditBehindOurBackIsRefused) {
  const QuantizationSimModel sim(load_program(model_file("seed")), kWeights4);
  const std::string name = sim.weights()[0].layer.parameters.front();
  sim.program().state.at(name).detach().add_(1);
  EXPECT_EQ(
      error_of([&] { run(sim, example_input("seed")); }),
      name + ": the tensor was changed after the simulation was made, and they share it; make a new one");
}

TEST(QuantSim, AnEditedBiasIsRefusedToo) {
  const QuantizationSimModel sim(load_program(model_file("seed")), kWeights4);
  sim.program().state.at("linear_blocks.0.fc1.bias").detach().add_(1);
  EXPECT_NE(error_of([&] { run(sim, example_input("seed")); }).find("linear_blocks.0.fc1.bias"),
            std::string::npos);
  EXPECT_NE(error_of([&] { sim.check_unchanged(); }).find("linear_blocks.0.fc1.bias"), std::string::npos);
}

TEST(QuantSim, DifferentViewsOfOneTensorAreRefused) {
  const auto refusal = [](const std::function<at::Tensor(const at::Tensor&)>& view) {
    Program program = load_program(model_file("seed"));
    at::Tensor& fc1 = program.state.at("linear_blocks.0.fc1.weight");
    program.state.at("linear_blocks.0.fc2.weight") = view(fc1.detach());
    return error_of([&] { QuantizationSimModel(std::move(program), kWeights4); });
  };
  const std::string expected = "different views of one tensor; clone one of them";
  EXPECT_NE(refusal([](const at::Tensor& w) { return w.t(); }).find(expected), std::string::npos);
  EXPECT_NE(refusal([](const at::Tensor& w) { return w.flatten().slice(0, 64); }).find(expected),
            std::string::npos);
}

TEST(QuantSim, CalibrationFoldsWhatIsLeft) {
  SimOptions options = w4a16();
  options.in_place = true;
  const QuantizationSimModel sim = calibrated_sim("seed", options);
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    ASSERT_TRUE(sim.weights()[i].encoding);
    EXPECT_FALSE(sim.weights()[i].trained);
    const at::Tensor own = sim.program().state.at(sim.weights()[i].layer.parameters.front());
    EXPECT_EQ(distance(own, dequantize(*sim.weights()[i].encoding)), 0);
  }
}

TEST(QuantSim, NaNInputIsRefusedOnceSimulated) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  const at::Tensor x = example_input("seed").mul(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(error_of([&] { run(sim, x); }), "input 'x' holds NaN");
}

TEST(QuantSim, ASecondCalibrationForgetsTheFirst) {
  QuantizationSimModel sim = calibrated_sim("masked", w4a16());
  const auto encodings = [&] {
    int count = 0;
    for (const ActivationQuantizer& quantizer : sim.activations()) count += quantizer.encoding.has_value();
    return count;
  };
  const int before = encodings();
  sim.compute_encodings([](QuantizationSimModel& model) { model(example_input("masked").abs().mul(-5)); });
  EXPECT_EQ(encodings(), before);
  for (const ActivationQuantizer& quantizer : sim.activations())
    EXPECT_FALSE(quantizer.encoding && !quantizer.off_reason.empty()) << quantizer.module;
}

TEST(QuantSim, AllObjectionsComeAtOnce) {
  SimOptions options{.default_param_bw = 1, .default_output_bw = 3, .group_size = -4, .decompressed_bw = -8};
  EXPECT_EQ(error_of([&] { QuantizationSimModel(load_program(model_file("seed")), options); }),
            "default_param_bw: got 1, expected 2 to 16, or 32 for off; default_output_bw: got 3, expected 4 "
            "to 16, or 32 for off; "
            "group_size: got -4, expected 0 or more; decompressed_bw: got -8, expected 0 to 16");
}

TEST(QuantSim, LayerConfigChangesTheLayersItMatches) {
  SimOptions options = kWeights4;
  options.layer_config = {{"linear_blocks.0.*", {.param_bw = 8, .group_size = 16}},
                          {"*.fc2", {.param_bw = kOffBits}},
                          {"linear_blocks.4.fc2", {.param_bw = 3, .symmetric = false, .per_channel = false}}};
  const QuantizationSimModel sim(load_program(model_file("seed")), options);
  ASSERT_EQ(sim.weights().size(), 6u);
  EXPECT_EQ(to_string(sim.weights()[0].grid), "int8 symmetric per group of 16");
  EXPECT_EQ(sim.weights()[5].layer.name, "linear_blocks.4.fc2");
  EXPECT_EQ(sim.weights()[5].grid.bits, 3);
  EXPECT_FALSE(sim.weights()[5].grid.per_channel());
  EXPECT_EQ(sim.unquantized().excluded.size(), 4u);
}

TEST(QuantSim, APatternThatMatchesNothingIsAnError) {
  SimOptions options = kWeights4;
  options.layer_config = {{"*.query", {.param_bw = 8}}};
  const auto text = error_of([&] { QuantizationSimModel(load_program(model_file("seed")), options); });
  EXPECT_NE(text.find("'*.query' matches no layer"), std::string::npos) << text;
}

TEST(QuantSim, GroupsThatDoNotDivideNameTheLayerAndTheCure) {
  SimOptions options = kWeights4;
  options.group_size = 20, options.decompressed_bw = 8;
  const auto text = error_of([&] { QuantizationSimModel(load_program(model_file("seed")), options); });
  for (const char* layers : {"linear_blocks.0.fc1, linear_blocks.1.fc1 and 3 more: in_features 64 is not",
                             "linear_blocks.0.fc2, linear_blocks.1.fc2 and 3 more: in_features 32 is not"})
    EXPECT_NE(text.find(layers), std::string::npos) << "every layer at once: " << text;
}

TEST(QuantSim, AShortLastGroupIsNoted) {
  SimOptions options = kWeights4;
  options.group_size = 20;
  const QuantizationSimModel sim(load_program(model_file("seed")), options);
  EXPECT_EQ(sim.weights()[0].note, "the last group of 20 has 4");
  EXPECT_EQ(sim.weights()[0].range.min.sizes(), at::IntArrayRef({32, 4, 1}));
  options.group_size = int64_t{1} << 62;
  const QuantizationSimModel whole(load_program(model_file("seed")), options);
  EXPECT_EQ(whole.weights()[0].note, "a row of 64 is one group, not of 4611686018427387904");
  EXPECT_EQ(whole.weights()[0].grid.group_size, 64);
}

TEST(QuantSim, NaNWeightsAreRefusedByName) {
  Program program = load_program(model_file("seed"));
  const std::string name = "linear_blocks.2.fc1.weight";
  at::Tensor broken = program.state.at(name).detach().clone();
  broken[0][0] = std::numeric_limits<float>::infinity();
  program.state[name] = broken;
  const auto text = error_of([&] { QuantizationSimModel(std::move(program), kWeights4); });
  EXPECT_NE(text.find("linear_blocks.2.fc1: the weight holds NaN or infinity"), std::string::npos) << text;
}

TEST(QuantSim, InputsAreBoundByName) {
  const Program program = load_program(model_file("seed"));
  const at::Tensor x = example_input("seed");
  EXPECT_EQ(bind_inputs(program, std::map<std::string, at::Tensor>{{"x", x}}).size(), 1u);
  EXPECT_EQ(error_of([&] {
              bind_inputs(program, std::map<std::string, at::Tensor>{{"y", x}});
            }),
            "input 'x' is missing; 'y' is no input of the program, which takes x");
  EXPECT_EQ(error_of([&] {
              bind_inputs(program, std::vector<at::Tensor>{x, x});
            }),
            "inputs: got 2 tensors, expected 1 (x)");
}

}  // namespace
}  // namespace adascale
