#include <ATen/ops/equal.h>

#include "load_cases.h"

namespace adascale {
namespace {

using nlohmann::json;
using testing::aimet_file;
using testing::error_of;
using testing::fresh;
using testing::load;
using testing::read_json;
using testing::simulated;
using testing::w4a16;

json sample(const std::string& version = "save.json") {
  return read_json(aimet_file("pc_" + version));
}

TEST(LoadEncodings, AllObjectionsAtOnceAndTheSimAsBefore) {
  json file = sample();
  file["param_encodings"]["0.wight"] = file["param_encodings"]["0.weight"];
  file["param_encodings"]["2.weight"].push_back(file["param_encodings"]["2.weight"][0]);
  file["activation_encodings"]["3"] = file["activation_encodings"]["1"];
  file["activation_encodings"]["0"]["input"]["0"]["scale"] = -1.0;
  QuantizationSimModel sim = fresh("sampled");
  const std::string before = sim.describe();
  EXPECT_EQ(
      error_of([&] { load(sim, file.dump()); }),
      "e: activation_encodings.0.input.0.scale: got -1, expected a scale: a positive number of float32; "
      "e: param_encodings.0.wight: '0.wight' is not in the model; did you mean 0.weight or 2.weight?; "
      "e: param_encodings.2.weight: got 4 scales, which do not fit a weight of 3x4; "
      "expected 1 (per tensor), 3 (per channel along axis 0) or 3 times the number of equal blocks along "
      "axis 1, 4 long; "
      "e: activation_encodings.3.output.0: '3' is not in the model; did you mean 0 or 1 or 2?");
  EXPECT_EQ(sim.describe(), before);
}

TEST(LoadEncodings, NotStrictPassesOverAndSaysSo) {
  json file = sample();
  file["param_encodings"]["other"] = file["param_encodings"]["0.weight"];
  SimOptions options = w4a16();
  options.layer_config = {{"2", {.param_bw = 32}}};
  QuantizationSimModel sim = fresh("sampled", options);
  EXPECT_EQ(error_of([&] { load(sim, sample().dump()); }),
            "e: param_encodings.2.weight: '2.weight' has no quantizer in this simulation; "
            "quantize it, or load without strict");
  EXPECT_EQ(load(sim, file.dump(), {.strict = false}),
            (std::vector<std::string>{"e: param_encodings.2.weight: has no quantizer in this simulation",
                                      "e: param_encodings.other: is not in the model"}));
  EXPECT_TRUE(sim.weights().front().loaded);
}

TEST(LoadEncodings, WhatIsMissingIsKeptRefusedOrTurnedOff) {
  json file = sample();
  file["param_encodings"].erase("2.weight");
  file["activation_encodings"].erase("1");
  QuantizationSimModel kept = fresh("sampled", w4a16());
  load(kept, file.dump());
  EXPECT_FALSE(kept.is_calibrated());
  EXPECT_EQ(kept.weights().size(), 2U);
  QuantizationSimModel refused = fresh("sampled", w4a16());
  EXPECT_EQ(error_of([&] { load(refused, file.dump(), {.partial = false}); }),
            "e: has no entry for 2.weight; load with partial; "
            "e: has no entry for 1 output 0; load with partial");
  QuantizationSimModel off = fresh("sampled", w4a16());
  load(off, file.dump(), {.strict = false, .partial = false});
  EXPECT_TRUE(off.is_calibrated());
  ASSERT_EQ(off.weights().size(), 1U);
  EXPECT_EQ(off.unquantized().excluded.front().name, "2");
  EXPECT_TRUE(at::equal(off.dequantized_weight(0), kept.dequantized_weight(0)));
  simulated(off, "sampled");
}

TEST(LoadEncodings, NamesThatTheFileLacksAreRefused) {
  QuantizationSimModel sim = fresh("sampled");
  EXPECT_EQ(error_of([&] {
              load(sim, sample().dump(), {.names = {{"outptu", "linear_1"}}});
            }),
            "e: names: the file has no 'outptu'; leave it out");
}

TEST(LoadEncodings, TwoEncodingsOfOneQuantizerMustBeEqual) {
  json file = sample("1.0.0.encodings");
  json again = file["activation_encodings"][0];
  again["name"] = "0";  // it has no quantizer of its own but its ReLU's
  QuantizationSimModel sim = fresh("sampled");
  json twice = file["activation_encodings"][1];
  twice["name"] = "relu";
  twice["scale"][0] = 1.0;
  file["activation_encodings"].push_back(twice);
  EXPECT_EQ(error_of([&] {
              load(sim, file.dump(), {.names = {{"output", "linear_1"}}});
            }),
            "e: activation_encodings[3] (relu): one quantizer, 1 output 0, "
            "has two encodings in the file that differ");
}

struct Wrong {
  std::string file, pointer;
  json value;
  std::string text;
};

TEST(LoadEncodings, SaysWhatIsWrongWithAnEntry) {
  const std::vector<Wrong> cases = {
      {"pc_1.0.0", "/version", "3.0.0", "e: got version '3.0.0', expected one of 0.6.1, 1.0.0, 2.0.0, 2.1.0"},
      {"pc_1.0.0", "/param_encodings/0/bw", 33, "got 33 bits, expected 2 to 16 (or 32 for a bias)"},
      {"pc_1.0.0", "/param_encodings/0/dtype", "FLOAT", "float quantization is not simulated; take it out"},
      {"pc_1.0.0", "/param_encodings/0/enc_type", "VECTOR",
       "got enc_type 'VECTOR', expected one of PER_TENSOR"},
      {"pc_1.0.0", "/param_encodings/0/offset/1", -7,
       "got offset -7 of a symmetric grid of 4 bits, expected -8"},
      {"pc_1.0.0", "/param_encodings/0/scale/2", 1e39, "got 1e+39, expected a scale"},
      {"pc_1.0.0", "/param_encodings/0/scale/2", 1e38, "which makes numbers that float32 does not hold"},
      {"pc_1.0.0", "/param_encodings/0/scale/2", nullptr, "got null, expected a number"},
      {"pc_1.0.0", "/param_encodings/0/scale", json::array(), "got 0 scales and 4 offsets"},
      {"bq_1.0.0", "/param_encodings/0/block_size", 3,
       "got 8 scales, PER_BLOCK, block_size 3, which do not fit"},
      {"lpbq_1.0.0", "/param_encodings/0/per_block_int_scale/0", 17, "got 17, expected 1 to 16"},
      {"lpbq_1.0.0", "/param_encodings/0/compressed_bw", 8, "expected more bits in bw, up to 16"},
      {"pc_2.0.0", "/encodings/0/output_dtype", "float8e4m3fn", "expected an integer type such as int2"},
      {"pc_2.0.0", "/encodings/0/axis", 1, "got 4 scales, axis 1, which do not fit a weight of 4x8"},
      {"bq_2.0.0", "/encodings/0/y_scale/1", 3.5, "its lists are not all of one depth"},
      {"bq_2.0.0", "/encodings/0/y_scale/1", {1.0}, "its lists are not all of one length"},
      {"bq_2.0.0", "/encodings/0/block_size", -4, "got block_size -4, expected a positive one and an axis"},
      {"pc_2.0.0", "/encodings/0/y_zero_point", -0.5, "got -0.5, expected an integer of 32 bits"},
      {"lpbq_2.1.0", "/encodings/0/y_scale/x/0/0", 0, "got 0, expected 1 to 16384"},
      {"pc_0.6.1", "/param_encodings/0.weight/1/bitwidth", 8, "differs from the first in bitwidth"},
      {"pc_0.6.1", "/param_encodings/0.weight/1/is_symmetric", "maybe", "expected \"True\" or \"False\""},
      {"pc_0.6.1", "/param_encodings/0.weight/1/max", 1.0, "expected 0.295545"},
      {"pc_0.6.1", "/activation_encodings/input/0/offset", 5,
       "expected 7.607130100950599e-05: scale times 5"},
      {"pc_1.0.0", "/activation_encodings/0/offset/0", 1, "zero must be on a grid of 16 bits"},
      {"pc_0.6.1", "/activation_encodings", 7, "e: activation_encodings: got 7, expected an object"},
  };
  for (const Wrong& wrong : cases) {
    json file = read_json(aimet_file(wrong.file + ".encodings"));
    file[json::json_pointer(wrong.pointer)] = wrong.value;
    QuantizationSimModel sim = fresh("sampled");
    const std::string text = error_of([&] { load(sim, file.dump(), {.names = {{"output", "linear_1"}}}); });
    EXPECT_NE(text.find(wrong.text), std::string::npos) << wrong.pointer << ": " << text;
  }
  QuantizationSimModel sim = fresh("sampled");
  EXPECT_EQ(
      error_of([&] { load(sim, "{\"fc\": 1}"); }),
      "e: is no encodings file: it has neither 'param_encodings' and 'activation_encodings' nor 'encodings'");
  EXPECT_EQ(error_of([&] { load_encodings(sim, "/no/such/file"); }),
            "/no/such/file: no such file; expected an encodings file");
}

}  // namespace
}  // namespace adascale
