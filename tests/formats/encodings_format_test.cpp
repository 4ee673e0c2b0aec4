#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <set>

#include "adascale/core/version.h"
#include "adascale/io/safetensors.h"
#include "adascale/quant/forms/form.h"
#include "model_files.h"

namespace adascale {
namespace {

using nlohmann::json;
using testing::calibrated_sim;
using testing::error_of;
using testing::Folder;
using testing::kScripts;
using testing::model_file;
using testing::read_json;
using testing::w4a16;

json exported_encodings(const QuantizationSimModel& sim, const std::string& version = "1.0.0") {
  const Folder folder;
  export_model(sim, folder.path(), "model", {"encodings"}, {.encoding_version = version});
  return read_json(folder.path("model_torch.encodings"));
}

std::string kind_of(const json& value) {
  return value.is_number_integer() ? "integer"
                                   : value.type_name() + std::string(value.is_number_float() ? " float" : "");
}

/// The same keys and value types at all depths; of a list only the first element is compared.
void expect_same_structure(const json& got, const json& expected, const std::string& where) {
  ASSERT_EQ(kind_of(got), kind_of(expected)) << where;
  if (expected.is_object()) {
    std::set<std::string> got_keys, expected_keys;
    for (const auto& [key, value] : got.items()) got_keys.insert(key);
    for (const auto& [key, value] : expected.items()) expected_keys.insert(key);
    ASSERT_EQ(got_keys, expected_keys) << where;
    for (const auto& [key, value] : expected.items())
      expect_same_structure(got[key], value, where + "/" + key);
  } else if (expected.is_array()) {
    ASSERT_EQ(got.empty(), expected.empty()) << where;
    if (!expected.empty()) expect_same_structure(got[0], expected[0], where + "/0");
  }
}

/// scale * (unsigned code + offset) from the file's own numbers.
at::Tensor dequantize_by_file(const json& entries, const Encoding& encoding) {
  at::Tensor scale = at::zeros_like(encoding.scale), offset = at::zeros_like(scale);
  for (size_t i = 0; i < entries.size(); ++i) {
    scale.view(-1)[i] = entries[i]["scale"].get<double>();
    offset.view(-1)[i] = entries[i]["offset"].get<int64_t>();
  }
  const at::Tensor unsigned_codes = encoding.codes.to(at::kFloat) - encoding.grid.qmin();
  return join_groups(scale * (split_groups(unsigned_codes, encoding.grid) + offset), encoding.codes.sizes(),
                     encoding.grid);
}

TEST(EncodingsFormat, HasTheStructureOfAimetsFile) {
  const json expected = read_json(kScripts / "aimet_torch_2.42.encodings");
  const json got = exported_encodings(calibrated_sim("seed", w4a16()));
  expect_same_structure(got, expected, "");
  EXPECT_EQ(got["quantizer_args"], expected["quantizer_args"]);
  EXPECT_EQ(got["producer"], (json{{"package", "adascale"}, {"version", kVersion}}));
  EXPECT_EQ(got["version"], "1.0.0");
}

TEST(EncodingsFormat, ScalesAndCodesGiveTheExportedWeightBitForBit) {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.0.*", {.group_size = 16, .decompressed_bw = 8}},
                          {"linear_blocks.1.*", {.param_bw = 3, .symmetric = false}},
                          {"linear_blocks.2.*", {.group_size = 16}},
                          {"linear_blocks.3.fc1", {.per_channel = false}}};
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("seed", options);
  export_model(sim, folder.path(), "model", {"encodings", "safetensors"});
  const json params = read_json(folder.path("model_torch.encodings"))["param_encodings"];
  std::map<std::string, at::Tensor> state;
  for (const NamedTensor& named : read_safetensors(folder.path("model.safetensors")))
    state.emplace(named.name, named.tensor);
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const Encoding encoding = sim.weight_encoding(static_cast<int32_t>(i));
    const json& entries = params.at(encoding.name);
    ASSERT_EQ(static_cast<int64_t>(entries.size()), encoding.scale.numel()) << encoding.name;
    EXPECT_TRUE(dequantize_by_file(entries, encoding).equal(state.at(encoding.name))) << encoding.name;
  }
}

TEST(EncodingsFormat, MinAndMaxAreTheEndsOfTheGrid) {
  const json file = exported_encodings(calibrated_sim("seed", w4a16()));
  for (const json& entry : file["param_encodings"]["linear_blocks.0.fc1.weight"]) {
    const float scale = entry["scale"].get<float>();
    EXPECT_EQ(entry["offset"], -8);
    EXPECT_EQ(entry["is_symmetric"], "True");
    EXPECT_EQ(entry["min"].get<double>(), scale * -8.0F);
    EXPECT_EQ(entry["max"].get<double>(), scale * 7.0F);
  }
  const json& input = file["activation_encodings"]["linear_blocks.0.fc1"]["input"]["0"];
  EXPECT_EQ(input["offset"], 0);
  EXPECT_EQ(input["is_symmetric"], "False");
  EXPECT_EQ(input["max"].get<double>(), input["scale"].get<float>() * 65535.0F);
}

TEST(EncodingsFormat, ActivationsRoundTrip) {
  const QuantizationSimModel sim =
      calibrated_sim("residual", {.default_param_bw = 4, .default_output_bw = 8});
  const json file = exported_encodings(sim);
  size_t entries = 0;
  for (const auto& [module, ports] : file["activation_encodings"].items())
    for (const auto& [port, indices] : ports.items()) entries += indices.size();
  EXPECT_EQ(entries, sim.activations().size());
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    const json& entry = file["activation_encodings"]
                            .at(quantizer.module)
                            .at(quantizer.port)
                            .at(std::to_string(quantizer.index));
    EXPECT_EQ(entry["scale"].get<double>(), quantizer.encoding->scale);
    EXPECT_EQ(entry["offset"].get<int64_t>(), quantizer.encoding->offset);
    EXPECT_EQ(entry["bitwidth"], 8);
  }
}

TEST(EncodingsFormat, LeavesOutActivationsTurnedOff) {
  const QuantizationSimModel sim = calibrated_sim("masked", w4a16());
  const json file = exported_encodings(sim);
  size_t off = 0;
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    if (quantizer.off_reason.empty()) continue;
    ++off;
    EXPECT_FALSE(file["activation_encodings"].contains(quantizer.module)) << quantizer.module;
  }
  EXPECT_EQ(off, 1U);
}

TEST(EncodingsFormat, ExcludedLayersAreListed) {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.0.*", {.param_bw = 32}}};
  const json file = exported_encodings(calibrated_sim("seed", options));
  EXPECT_EQ(file["excluded_layers"], (json{"linear_blocks.0.fc1", "linear_blocks.0.fc2"}));
  EXPECT_FALSE(file["param_encodings"].contains("linear_blocks.0.fc1.weight"));
  EXPECT_EQ(file["param_encodings"].size(), 8U);
}

TEST(EncodingsFormat, NothingQuantizedIsStillWhole) {
  const QuantizationSimModel sim(load_program(model_file("seed")),
                                 {.default_param_bw = 32, .default_output_bw = 32});
  const json file = exported_encodings(sim);
  EXPECT_EQ(file["param_encodings"], json::object());
  EXPECT_EQ(file["activation_encodings"], json::object());
  EXPECT_EQ(file["excluded_layers"].size(), 10U);
}

TEST(EncodingsFormat, TiedWeightsAppearUnderEachName) {
  const json params = exported_encodings(calibrated_sim("tied", w4a16()))["param_encodings"];
  EXPECT_EQ(params.at("emb.weight"), params.at("head.weight"));
  EXPECT_EQ(params.at("emb.weight").size(), 20U);
}

TEST(EncodingsFormat, VersionsDifferInTheVersionAlone) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  json old = exported_encodings(sim, "0.6.1");
  EXPECT_EQ(old["version"], "0.6.1");
  old["version"] = "1.0.0";
  EXPECT_EQ(old, exported_encodings(sim));
}

TEST(EncodingsFormat, SchemesHaveAimetsNames) {
  const auto name_of = [](QuantScheme scheme) {
    SimOptions options = w4a16();
    options.quant_scheme = scheme;
    return exported_encodings(calibrated_sim("masked", options))["quantizer_args"]["quant_scheme"];
  };
  EXPECT_EQ(name_of(QuantScheme::post_training_tf), "min_max");
  EXPECT_EQ(name_of(QuantScheme::post_training_tf_enhanced), "post_training_tf_enhanced");
  EXPECT_EQ(name_of(QuantScheme::training_range_learning_with_tf_enhanced_init), "post_training_tf_enhanced");
  EXPECT_EQ(name_of(QuantScheme::post_training_percentile), "post_training_percentile");
}

SimOptions grouped() {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.0.*", {.group_size = 16}}};
  return options;
}

json encodings_by_tensor(const QuantizationSimModel& sim, const std::string& version) {
  const Folder folder;
  export_model(sim, folder.path(), "model", {"encodings"}, {.encoding_version = version});
  return read_json(folder.path("model.encodings"));
}

TEST(EncodingsFormat, LaterVersionsLeaveTheModulesFileAtItsLast) {
  const QuantizationSimModel sim = calibrated_sim("seed", grouped());
  for (const char* version : {"2.0.0", "2.1.0"})
    EXPECT_EQ(exported_encodings(sim, version), exported_encodings(sim));
}

TEST(EncodingsFormat, TensorsGoByTheProgramsNames) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  std::set<std::string> names;
  const json latest = encodings_by_tensor(sim, "2.1.0");
  for (const json& entry : latest["encodings"]) names.insert(entry["name"]);
  for (const char* name : {"x", "relu", "linear_1", "linear_blocks.0.fc1.weight", "linear_blocks.0.fc1.bias"})
    EXPECT_TRUE(names.contains(name)) << name;
  for (const char* version : {"0.6.1", "1.0.0"}) {
    const json file = encodings_by_tensor(sim, version);
    EXPECT_EQ(file["version"], version);
    EXPECT_EQ(file["activation_encodings"].size(), sim.activations().size());
    EXPECT_EQ(file["param_encodings"].size(), sim.weights().size());
  }
}

TEST(EncodingsFormat, BiasesAreTheInputsScaleTimesTheChannels) {
  const QuantizationSimModel sim = calibrated_sim("seed", grouped());
  const json file = encodings_by_tensor(sim, "2.0.0");
  std::map<std::string, json> entries;
  for (const json& entry : file["encodings"]) entries.emplace(entry["name"], entry);
  const json& bias = entries.at("linear_blocks.0.fc1.bias");
  EXPECT_EQ(bias["output_dtype"], "int32");
  EXPECT_EQ(bias["axis"], 0);
  ASSERT_EQ(bias["y_scale"].size(), 32U);
  float largest = 0;
  for (const json& scale : entries.at("linear_blocks.0.fc1.weight")["y_scale"][3])
    largest = std::max(largest, scale.get<float>());
  EXPECT_FLOAT_EQ(bias["y_scale"][3].get<float>(), largest * entries.at("x")["y_scale"].get<float>());
}

TEST(EncodingsFormat, NoBiasWithoutAnEncodingOfItsInput) {
  SimOptions options = w4a16();
  options.default_output_bw = 32;
  const QuantizationSimModel sim(load_program(model_file("seed")), options);
  EXPECT_EQ(encodings_by_tensor(sim, "2.0.0")["encodings"].size(), sim.weights().size());
}

TEST(EncodingsFormat, SymmetricActivationsAreUnsignedAroundAZeroPoint) {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.1.fc2", {.output_symmetric = true}}};
  const QuantizationSimModel sim = calibrated_sim("seed", options);
  const json latest = encodings_by_tensor(sim, "2.1.0"), older = encodings_by_tensor(sim, "1.0.0");
  for (const json& entry : latest["encodings"])
    if (entry["name"] == "linear_3") {
      EXPECT_EQ(entry["output_dtype"], "uint16");
      EXPECT_EQ(entry["y_zero_point"], 32768);
    }
  for (const json& entry : older["activation_encodings"])
    if (entry["name"] == "linear_3") {
      EXPECT_EQ(entry["offset"], json{-32768});
    }
}

TEST(EncodingsFormat, OddWidthsHaveNoOnnxType) {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.1.*", {.param_bw = 3}}};
  const QuantizationSimModel sim = calibrated_sim("seed", options);
  encodings_by_tensor(sim, "1.0.0");
  EXPECT_EQ(error_of([&] { encodings_by_tensor(sim, "2.0.0"); }),
            "encodings: ONNX, whose types versions 2.x name, has no integers of 3 bits (linear_blocks.1.fc1, "
            "linear_blocks.1.fc2); use 2, 4, 8 or 16, or encoding_version = \"1.0.0\"");
}

TEST(EncodingsFormat, RefusesUnknownVersions) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  EXPECT_EQ(error_of([&] { encodings_by_tensor(sim, "1.1.0"); }),
            "encodings: got encoding_version '1.1.0', expected one of 0.6.1, 1.0.0, 2.0.0, 2.1.0");
}

TEST(EncodingsFormat, RefusesAGridItCannotWrite) {
  QuantizationSimModel sim(load_program(model_file("tied")), {.default_output_bw = 32});
  QuantizedWeight& weight = const_cast<QuantizedWeight&>(sim.weights().front());
  weight.grid.form = minimum_form();
  EXPECT_NE(error_of([&] { exported_encodings(sim); }).find("with minimum per group of"), std::string::npos);
}

TEST(Export, RefusesScalesThatAreNotNumbers) {
  QuantizationSimModel sim(load_program(model_file("masked")), {.default_output_bw = 32});
  QuantizedWeight& weight = const_cast<QuantizedWeight&>(sim.weights().front());
  weight.encoding = sim.weight_encoding(0);
  weight.encoding->scale.fill_(NAN);
  EXPECT_EQ(error_of([&] { exported_encodings(sim); }),
            "export: fc: the weight's scale is NaN or infinite; quantize the model again");
}

}  // namespace
}  // namespace adascale
