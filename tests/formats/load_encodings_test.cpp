#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>

#include "adascale/sim/sim_editor.h"
#include "load_cases.h"

namespace adascale {
namespace {

using nlohmann::json;
using testing::aimet_file;
using testing::calibrated_sim;
using testing::error_of;
using testing::example_input;
using testing::Folder;
using testing::fresh;
using testing::load;
using testing::model_file;
using testing::read_json;
using testing::simulated;
using testing::text_of;
using testing::w4a16;

std::string exported(const QuantizationSimModel& sim, const std::string& version, const std::string& file) {
  const Folder folder;
  export_model(sim, folder.path(), "m", {"encodings"}, {.encoding_version = version});
  return text_of(folder.path(file));
}

/// Name to entry, of any version.
std::map<std::string, json> entries_of(const json& file, const char* section) {
  std::map<std::string, json> entries;
  for (const auto& [key, entry] : file.at(section).items())
    entries.emplace(file.at(section).is_array() ? entry.at("name").get<std::string>() : key, entry);
  return entries;
}

const std::map<std::string, std::string> kOurNames = {{"/1/Relu_output_0", "relu"}, {"output", "linear_1"}};

SimOptions sample_options(const std::string& kind) {
  SimOptions options = w4a16();
  if (kind != "pc") options.group_size = 4;
  if (kind == "lpbq") options.decompressed_bw = 8;
  return options;
}

void expect_same_numbers(const json& got, const json& expected, const std::string& where) {
  if (expected.is_array()) {
    ASSERT_EQ(got.size(), expected.size()) << where;
    for (size_t i = 0; i < expected.size(); ++i) expect_same_numbers(got[i], expected[i], where);
  } else if (expected.is_object()) {
    ASSERT_EQ(got.size(), expected.size()) << where << got << expected;
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(got.contains(key)) << where << "." << key;
      if (key != "name") expect_same_numbers(got[key], value, where + "." + key);
    }
  } else if (expected.is_number_float()) {
    EXPECT_FLOAT_EQ(got.get<float>(), expected.get<float>()) << where;
  } else {
    EXPECT_EQ(got, expected) << where;
  }
}

void expect_same_entries(const json& got, const json& expected, const char* section) {
  const auto entries = entries_of(got, section), wanted = entries_of(expected, section);
  EXPECT_EQ(entries.size(), wanted.size());
  for (const auto& [name, entry] : wanted) {
    const auto renamed = kOurNames.find(name);
    const auto found = entries.find(renamed == kOurNames.end() ? name : renamed->second);
    ASSERT_NE(found, entries.end()) << name;
    expect_same_numbers(found->second, entry, name);
  }
}

struct Sample {
  std::string kind, version;
};

class AimetSample : public ::testing::TestWithParam<Sample> {};

TEST_P(AimetSample, IsReadAndWrittenAgainAsItWas) {
  const auto& [kind, version] = GetParam();
  const std::string file = aimet_file(kind + "_" + version + ".encodings");
  QuantizationSimModel sim = fresh("sampled", sample_options(kind));
  EXPECT_FALSE(sim.is_calibrated());
  LoadOptions options;
  options.names = {{"output", "linear_1"}};
  EXPECT_TRUE(load_encodings(sim, file, options).empty());
  EXPECT_TRUE(sim.is_calibrated());
  const json got = json::parse(exported(sim, version, "m.encodings")), expected = read_json(file);
  if (expected.contains("encodings")) return expect_same_entries(got, expected, "encodings");
  expect_same_entries(got, expected, "param_encodings");
  expect_same_entries(got, expected, "activation_encodings");
  for (const char* key : {"quantizer_args", "excluded_layers", "version"}) EXPECT_EQ(got[key], expected[key]);
}

std::string name_of(const ::testing::TestParamInfo<Sample>& sample) {
  std::string name = sample.param.kind + "_" + sample.param.version;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, AimetSample,
                         ::testing::Values(Sample{"pc", "0.6.1"}, Sample{"pc", "1.0.0"},
                                           Sample{"pc", "2.0.0"}, Sample{"pc", "2.1.0"},
                                           Sample{"bq", "0.6.1"}, Sample{"bq", "1.0.0"},
                                           Sample{"bq", "2.0.0"}, Sample{"bq", "2.1.0"},
                                           Sample{"lpbq", "0.6.1"}, Sample{"lpbq", "1.0.0"},
                                           Sample{"lpbq", "2.0.0"}, Sample{"lpbq", "2.1.0"}),
                         name_of);

TEST(LoadEncodings, TakesAimetsSavedModules) {
  for (const char* kind : {"pc", "bq", "lpbq"}) {
    const std::string file = aimet_file(std::string(kind) + "_save.json");
    QuantizationSimModel sim = fresh("sampled", sample_options(kind));
    EXPECT_TRUE(load_encodings(sim, file, {.partial = false}).empty());
    const json got = json::parse(exported(sim, "1.0.0", "m_torch.encodings")), expected = read_json(file);
    EXPECT_EQ(got["activation_encodings"], expected["activation_encodings"]);
    EXPECT_EQ(got["param_encodings"], expected["param_encodings"]);
  }
}

TEST(LoadEncodings, EveryVersionMeansTheSame) {
  for (const std::string kind : {"pc", "bq", "lpbq"}) {
    QuantizationSimModel first = fresh("sampled", sample_options(kind));
    load_encodings(first, aimet_file(kind + "_save.json"));
    for (const std::string version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) {
      QuantizationSimModel sim = fresh("sampled");  // 8 bits per channel; the file's settings differ
      load_encodings(sim, aimet_file(kind + "_" + version + ".encodings"),
                     {.names = {{"output", "linear_1"}}});
      EXPECT_TRUE(at::equal(simulated(sim, "sampled"), simulated(first, "sampled"))) << kind << version;
    }
  }
}

/// All granularities and both symmetries.
SimOptions mixed(bool only_onnx_widths = true) {
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.0.*", {.group_size = 16, .decompressed_bw = 8}},
                          {"linear_blocks.1.fc1", {.param_bw = 8, .symmetric = false}},
                          {"linear_blocks.1.fc2", {.group_size = 8, .symmetric = false}},
                          {"linear_blocks.2.*", {.group_size = 16}},
                          {"linear_blocks.3.fc1", {.per_channel = false, .output_symmetric = true}},
                          {"linear_blocks.3.fc2", {.param_bw = 16, .symmetric = false, .per_channel = false}},
                          {"linear_blocks.4.fc1", {.param_bw = 32}}};
  if (!only_onnx_widths) options.layer_config[3].second.param_bw = 3;
  return options;
}

SimOptions shapes_options() {
  SimOptions options = w4a16();
  options.layer_config = {{"conv", {.group_size = 4}},
                          {"up", {.group_size = 8, .decompressed_bw = 8}},
                          {"product", {.group_size = 4, .symmetric = false}},
                          {"stack", {.group_size = 8, .decompressed_bw = 8}}};
  return options;
}

void expect_same_sims(const QuantizationSimModel& got, const QuantizationSimModel& expected) {
  ASSERT_EQ(got.weights().size(), expected.weights().size());
  for (int32_t i = 0; i < static_cast<int32_t>(got.weights().size()); ++i) {
    const Encoding a = got.weight_encoding(i), b = expected.weight_encoding(i);
    EXPECT_EQ(to_string(a.grid), to_string(b.grid)) << b.name;
    EXPECT_TRUE(at::equal(a.codes, b.codes)) << b.name;
    EXPECT_TRUE(at::equal(a.scale, b.scale)) << b.name;
    EXPECT_TRUE(at::equal(a.offset, b.offset)) << b.name;
    EXPECT_TRUE(at::equal(got.dequantized_weight(i), expected.dequantized_weight(i))) << b.name;
  }
  for (size_t i = 0; i < got.activations().size(); ++i) {
    const ActivationQuantizer &a = got.activations()[i], &b = expected.activations()[i];
    ASSERT_EQ(a.encoding.has_value(), b.encoding.has_value()) << b.module;
    if (!a.encoding) continue;
    EXPECT_EQ(a.bits, b.bits);
    EXPECT_EQ(a.encoding->scale, b.encoding->scale);
    EXPECT_EQ(a.encoding->min, b.encoding->min);
  }
}

struct Trip {
  std::string model;
  SimOptions options;
};

class RoundTrip : public ::testing::TestWithParam<std::string> {};

TEST_P(RoundTrip, GivesTheSameCodes) {
  for (const Trip& trip : {Trip{"seed", mixed(!GetParam().starts_with("1"))},
                           Trip{"shapes", shapes_options()}, Trip{"shapes", w4a16()}, Trip{"tied", w4a16()},
                           Trip{"residual", w4a16()}, Trip{"sequence", w4a16()}}) {
    const QuantizationSimModel sim = calibrated_sim(trip.model, trip.options);
    for (const char* file : {"m_torch.encodings", "m.encodings"}) {
      QuantizationSimModel loaded = fresh(trip.model, trip.options);
      EXPECT_TRUE(load(loaded, exported(sim, GetParam(), file), {.partial = false}).empty()) << trip.model;
      expect_same_sims(loaded, sim);
      EXPECT_TRUE(at::equal(simulated(loaded, trip.model), simulated(sim, trip.model))) << trip.model << file;
      EXPECT_EQ(exported(loaded, GetParam(), file), exported(sim, GetParam(), file)) << trip.model;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, RoundTrip, ::testing::Values("0.6.1", "1.0.0", "2.0.0", "2.1.0"),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(LoadEncodings, AStackHasBlocksOfTheWholeInput) {
  const json file = json::parse(exported(calibrated_sim("shapes", w4a16()), "2.1.0", "m.encodings"));
  const auto entries = entries_of(file, "encodings");
  const json& stack = entries.at("stack");
  EXPECT_EQ(stack["axis"], 1);
  EXPECT_EQ(stack["block_size"], 16);
  EXPECT_EQ(stack["y_scale"].size(), 2U);
  EXPECT_EQ(stack["y_scale"][0].size(), 1U);
  EXPECT_EQ(stack["y_scale"][0][0].size(), 8U);
  const json& product = entries.at("product");
  EXPECT_EQ(product["axis"], 1);
  EXPECT_EQ(product["y_scale"].size(), 16U);
}

TEST(LoadEncodings, FreezesWeightsAndLetsActivationsBeOverwritten) {
  const std::string text = exported(calibrated_sim("seed", w4a16()), "1.0.0", "m_torch.encodings");
  for (const bool allow_overwrite : {true, false}) {
    QuantizationSimModel sim = fresh("seed");  // 8 bits
    load(sim, text, {.allow_overwrite = allow_overwrite});
    EXPECT_EQ(sim.weights().front().grid.bits, 4);
    const double before = sim.activations().front().encoding->scale;
    sim.compute_encodings([](QuantizationSimModel& model) { model(10 * example_input("seed")); });
    EXPECT_EQ(sim.weights().front().grid.bits, 4);
    EXPECT_EQ(sim.activations().front().bits, 16);
    EXPECT_EQ(sim.activations().front().encoding->scale == before, !allow_overwrite);
  }
}

TEST(LoadEncodings, AFixedEncodingIsPassedOver) {
  const std::string text = exported(calibrated_sim("sampled", w4a16()), "1.0.0", "m_torch.encodings");
  QuantizationSimModel sim = fresh("sampled");
  load(sim, text, {.allow_overwrite = false});
  const auto passed_over = load(sim, text);
  ASSERT_EQ(passed_over.size(), 5U);
  EXPECT_EQ(passed_over.front(), "e: param_encodings.0.weight: fixed by an earlier load");
}

TEST(LoadEncodings, LoadsAgainFromTheWeightAsItCame) {
  QuantizationSimModel sim = fresh("sampled");
  const std::string fine = exported(calibrated_sim("sampled"), "1.0.0", "m_torch.encodings");
  load(sim, exported(calibrated_sim("sampled", w4a16()), "1.0.0", "m_torch.encodings"));
  load(sim, fine);
  QuantizationSimModel once = fresh("sampled");
  load(once, fine);
  expect_same_sims(sim, once);
}

TEST(LoadEncodings, InPlaceThereIsNoWeightToLoadAgain) {
  SimOptions options = w4a16();
  options.in_place = true;
  const std::string text = exported(calibrated_sim("sampled", w4a16()), "1.0.0", "m_torch.encodings");
  QuantizationSimModel sim = fresh("sampled", options);
  load(sim, text);
  EXPECT_NE(error_of([&] { load(sim, text); }).find("its weight as it came is gone; make a new simulation"),
            std::string::npos);
}

TEST(LoadEncodings, TrainedCodesAreNotRoundedAnew) {
  QuantizationSimModel sim = fresh("sampled", w4a16());
  SimEditor(sim).fold(0, sim.weight_encoding(0), /*trained=*/true);
  const std::string text = exported(calibrated_sim("sampled", w4a16()), "1.0.0", "m_torch.encodings");
  EXPECT_EQ(error_of([&] { load(sim, text); }),
            "e: param_encodings.0.weight: AdaScale trained the codes of 0.weight, "
            "and loading would round them anew; make a new simulation");
}

/// AIMET's entry of a Linear that its ONNX file keeps as [in, out].
TEST(LoadEncodings, ATransposedWeightIsTurnedBack) {
  SimOptions options = sample_options("bq");
  const QuantizationSimModel sim = calibrated_sim("sampled", options);
  for (const char* version : {"1.0.0", "2.1.0"}) {
    json file = json::parse(exported(sim, version, "m.encodings"));
    json& entry = file.contains("encodings") ? file["encodings"][0] : file["param_encodings"][0];
    ASSERT_EQ(entry["name"], "0.weight");
    entry["name"] = "0.weight_0";
    if (entry.contains("y_scale")) {
      json turned = json::array({json::array(), json::array()});
      for (const json& row : entry["y_scale"])
        for (size_t block = 0; block < 2; ++block) turned[block].push_back(row[block]);
      entry["y_scale"] = turned;
      entry["axis"] = 0;
    } else {
      json turned = json::array();
      for (size_t block = 0; block < 2; ++block)
        for (size_t channel = 0; channel < 4; ++channel)
          turned.push_back(entry["scale"][2 * channel + block]);
      entry["scale"] = turned;
    }
    QuantizationSimModel loaded = fresh("sampled", options);
    load(loaded, file.dump());
    expect_same_sims(loaded, sim);
  }
}

}  // namespace
}  // namespace adascale
