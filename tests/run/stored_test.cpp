#include "adascale/run/stored.h"

#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/io/pt2.h"
#include "adascale/run/quantize.h"
#include "adascale/run/stored_report.h"
#include "error_text.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

using nlohmann::json;

class Stored : public RunTest {
 protected:
  void run(int64_t outside_bw, int64_t output_bw) const {
    QuantizeRequest asked = request();
    asked.outside_bw = outside_bw;
    asked.sim.default_output_bw = output_bw;
    quantize(asked);
  }
  json of(const std::string& file) const { return json::parse(stored_json(path(file), {})); }
};

TEST_F(Stored, TheReportBesideAFileTellsAllOfItsLayers) {
  run(8, 8);
  const json stored = of("out/blocks.pt2");
  std::map<std::string, json> weights;
  for (const json& weight : stored.at("weights")) weights[weight.at("name")] = weight;
  EXPECT_EQ(weights.size(), 5);
  EXPECT_EQ(weights.at("blocks.0.fc1").at("grid"), "int4 symmetric per channel");
  EXPECT_TRUE(weights.at("blocks.0.fc1").at("sqnr_db").is_number());
  EXPECT_EQ(weights.at("head").at("grid"), "int8 symmetric per channel") << "outside the blocks";
  EXPECT_FALSE(stored.at("activations").empty());
  EXPECT_EQ(stored.at("activations_not_held"), 0);
  EXPECT_EQ(activations_not_held(path("out/blocks.pt2")), 0);
}

TEST_F(Stored, AFileWithoutActivationsHoldsNone) {
  run(32, 8);
  const json stored = of("out/blocks.safetensors");
  EXPECT_TRUE(stored.at("activations").empty());
  EXPECT_EQ(stored.at("activations_not_held"),
            json::parse(read_bytes(path("out/report.json"))).at("activations").size());
  EXPECT_EQ(activations_not_held(path("out/blocks.safetensors")), stored.at("activations_not_held"));
}

TEST_F(Stored, AReportOfOtherFilesIsNotTheirs) {
  run(32, 32);
  fs::copy_file(model_file("blocks"), path("out/other.pt2"));
  EXPECT_TRUE(of("out/other.pt2").is_null());
}

TEST_F(Stored, ADamagedReportIsAnErrorThatNamesIt) {
  run(32, 32);
  const std::string report = path("out/report.json"), text = read_bytes(report);
  const auto message = [&](const std::string& damaged) {
    write_text(report, damaged);
    return error_of([&] { of("out/blocks.pt2"); });
  };
  const std::string cure = "; the report is damaged: move it away, or quantize again";
  EXPECT_HAS(message(text.substr(0, text.size() / 2)), report + ": not valid JSON");
  EXPECT_HAS(message(""), cure);
  json changed = json::parse(text);
  changed["formats"] = 5;
  EXPECT_EQ(message(changed.dump()), report + ": formats: got 5, expected a list" + cure);
  changed = json::parse(text);
  changed["blocks"][0]["layers"][0]["grid"] = nullptr;
  EXPECT_HAS(message(changed.dump()), report + ": blocks[0].layers[0].grid: got null, expected");
  changed.erase("adascale.plan");  // another program's
  EXPECT_EQ(message(changed.dump()), "no error");
}

TEST_F(Stored, AnotherProgramsReportIsPassedOver) {
  for (const char* text : {"[]", "{}", "3", R"({"formats": 5})"})
    EXPECT_TRUE(read_stored_report(text, "r", "model.pt2").is_null()) << text;
}

TEST_F(Stored, QuantizersOfTheProgramStandWhereNoReportTells) {
  const json stored = json::parse(stored_json(
      model_file("blocks"), {{.value = "add", .module = "m", .bits = 8, .scale = 1, .min = -2, .max = 3}}));
  EXPECT_TRUE(stored.at("by").is_null());
  EXPECT_EQ(stored.at("activations")[0].at("value"), "add");
  EXPECT_EQ(stored.at("activations")[0].at("max"), 3.0);
}

/// Writes a program with quantizers of constant numbers on these values, as other tools may.
void write_quantized(const std::string& from, const std::string& to, const std::vector<std::string>& values) {
  const Program program = load_program(from);
  std::vector<InsertedNode> nodes;
  for (const std::string& value : values)
    nodes.push_back({program.find_value(value),
                     "torch.ops.aten.fake_quantize_per_tensor_affine.default",
                     {{"scale", 0.02}, {"zero_point", 3}, {"quant_min", 0}, {"quant_max", 255}}});
  save_program(program, to, {}, nodes, {});
}

TEST_F(Stored, AWeightOnAGridIsNoActivation) {
  const Program plain = load_program(model_file("blocks"));
  std::string weight;
  for (const ProgramInput& input : plain.inputs)
    if (input.name == "blocks.0.fc1.weight") weight = plain.values[input.value].name;
  write_quantized(model_file("blocks"), path("foreign.pt2"), {weight, "relu"});
  Program program = load_program(path("foreign.pt2"));
  const std::vector<StoredQuantizer> quantizers = take_out_quantizers(program);
  ASSERT_EQ(quantizers.size(), 1);
  EXPECT_EQ(quantizers[0].value, "relu");
  EXPECT_EQ(quantizers[0].bits, 8);
  EXPECT_DOUBLE_EQ(quantizers[0].min, 0.02 * -3);
  size_t left = 0;
  for (const Node& node : program.nodes) left += node.op() == "aten::fake_quantize_per_tensor_affine" ? 1 : 0;
  EXPECT_EQ(left, 1) << "the weight's";
}

}  // namespace
}  // namespace adascale::testing
