#include "adascale/sim/config.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adascale/core/progress.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/sim/op_types.h"
#include "error_text.h"

namespace adascale {
namespace {

using nlohmann::json;
using testing::error_of;

/// Collects logged lines while it lives.
class LogLines {
 public:
  LogLines() {
    set_log_sink([this](const std::string& line) { lines_.push_back(line); });
  }
  ~LogLines() { set_log_sink({}); }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

/// The least document that AIMET's schema accepts.
json minimal() {
  return json::parse(
      R"({"defaults": {"ops": {}, "params": {}}, "params": {}, "op_type": {}, "supergroups": [],
                         "model_input": {}, "model_output": {}})");
}

/// minimal() with one place, a JSON pointer, changed.
std::string with(const std::string& place, const json& value) {
  json document = minimal();
  document[json::json_pointer(place)] = value;
  return document.dump();
}

SimConfig parse(const std::string& text) {
  return parse_sim_config(text, "c.json");
}
std::string config_error(const std::string& text) {
  return error_of([&] { parse(text); });
}

TEST(SimConfig, BuiltInIsAsDocumented) {
  const LogLines log;
  const SimConfig config = parse_sim_config(default_sim_config_json(), "built-in");
  EXPECT_TRUE(log.lines().empty()) << "nothing in it is without effect";
  EXPECT_TRUE(config.quantize_model_input);
  EXPECT_FALSE(config.quantize_model_output);
  EXPECT_EQ(op_config(config, "Gemm").is_output_quantized, true);
  EXPECT_EQ(op_config(config, "").is_output_quantized, true);
  EXPECT_FALSE(op_config(config, "Gemm").is_symmetric.value_or(false));
  EXPECT_EQ(config.params.at("bias").is_quantized, false);
  for (const LayerKind& kind : layer_kinds()) {
    const WeightRule rule = weight_rule(config, kind.onnx_type);
    EXPECT_TRUE(rule.quantized && rule.symmetric && rule.per_channel) << kind.name;
  }
}

TEST(SimConfig, WhatIsNotSetIsOff) {
  const SimConfig config = parse(minimal().dump());
  EXPECT_FALSE(op_config(config, "Relu").is_output_quantized.value_or(false));
  EXPECT_FALSE(config.quantize_model_input || config.quantize_model_output);
  const WeightRule rule = weight_rule(config, "Conv");
  EXPECT_FALSE(rule.quantized || rule.symmetric || rule.per_channel);
}

TEST(SimConfig, NarrowerRulesWin) {
  const SimConfig config = parse(R"({
    "defaults": {"ops": {"is_output_quantized": "True", "is_symmetric": "True"},
                 "params": {"is_quantized": "True", "is_symmetric": "False"}, "per_channel_quantization": "True"},
    "params": {"weight": {"is_symmetric": "True"}},
    "op_type": {"Conv": {"is_symmetric": "False", "params": {"weight": {"is_quantized": "False"}}},
                "MatMul": {"per_channel_quantization": "False", "is_output_quantized": "False"},
                "Gemm": {"is_output_quantized": "True"}},
    "supergroups": [{"op_list": ["Conv", "Relu"]}],
    "model_input": {"is_input_quantized": "True"}, "model_output": {"is_output_quantized": "True"}})");
  EXPECT_EQ(op_config(config, "Conv").is_symmetric, false);
  EXPECT_EQ(op_config(config, "Conv").is_output_quantized, true);
  const WeightRule conv = weight_rule(config, "Conv"), linear = weight_rule(config, "Gemm");
  EXPECT_TRUE(!conv.quantized && conv.symmetric && conv.per_channel);
  EXPECT_TRUE(linear.quantized && linear.symmetric);
  EXPECT_FALSE(linear.per_channel) << "a Linear is a MatMul too";
  EXPECT_EQ(op_config(config, "Gemm").is_output_quantized, true) << "but a Gemm first";
  EXPECT_EQ(op_config(config, "MatMul").is_output_quantized, false);
  EXPECT_EQ(config.supergroups, (std::vector<std::vector<std::string>>{{"Conv", "Relu"}}));
  EXPECT_TRUE(config.quantize_model_input && config.quantize_model_output);
}

/// Every key of the format that has no effect here, in one document shaped like AIMET's files for HTP.
TEST(SimConfig, WhatIsNotActedOnIsNamedInOneLine) {
  const LogLines log;
  parse(R"({
    "defaults": {"hw_version": "V81", "ops": {"is_output_quantized": "True"}, "params": {"is_quantized": "True"},
                 "strict_symmetric": "True", "unsigned_symmetric": "False",
                 "supported_kernels": [{"activation": {"bitwidth": 16, "dtype": "int"},
                                        "param": {"bitwidth": 8, "dtype": "int"}}]},
    "params": {"bias": {"is_quantized": "True"}, "prelu": {"is_quantized": "False"}},
    "op_type": {"Relu": {"encoding_constraints": {"min": 0.0}},
                "PRelu": {"per_channel_quantization": "True"},
                "Gemm": {"per_channel_quantization": "True", "supported_kernels": [
                          {"activation": {"bitwidth": 16, "dtype": "float"}}]},
                "BatchNormalization": {"params": {"running_mean": {"is_quantized": "False"}}},
                "LayerNormalization": {"params": {"weight": {"is_symmetric": "False"}}}},
    "supergroup_pass_list": ["MatmulAdd"], "supergroups": [], "model_input": {}, "model_output": {}})");
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_EQ(log.lines().front(),
            "c.json: part of AIMET's format, but without effect here: defaults.hw_version, "
            "defaults.strict_symmetric, defaults.supported_kernels, params.bias, "
            "op_type.Relu.encoding_constraints, "
            "op_type.PRelu.per_channel_quantization, op_type.Gemm.supported_kernels, "
            "op_type.LayerNormalization.params.weight, supergroup_pass_list");
}

TEST(SimConfig, OlderNamesStandForNewOnes) {
  EXPECT_EQ(parse(with("/op_type/Mean", json{{"is_output_quantized", "False"}})).op_types.count("ReduceMean"),
            1u);
  json both = minimal();
  both["op_type"] = {{"Mean", json::object()}, {"ReduceMean", json::object()}};
  EXPECT_NE(config_error(both.dump()).find("another name of ReduceMean"), std::string::npos);
}

TEST(SimConfig, WrongTypesNameThePlaceAndWhatIsExpected) {
  EXPECT_EQ(config_error("[]"), "c.json: got [], expected an object");
  EXPECT_EQ(config_error(with("/defaults/ops/is_output_quantized", true)),
            "c.json: defaults.ops.is_output_quantized: got true, expected the string \"True\" or \"False\"");
  EXPECT_EQ(config_error(with("/defaults/params/is_symmetric", "yes")),
            "c.json: defaults.params.is_symmetric: got \"yes\", expected the string \"True\" or \"False\"");
  EXPECT_EQ(config_error(with("/op_type/Conv", nullptr)),
            "c.json: op_type.Conv: got null, expected an object");
  EXPECT_EQ(config_error(with("/supergroups", json::object())),
            "c.json: supergroups: got {}, expected a list");
  EXPECT_EQ(config_error(with("/supergroups", json{{{"op_list", json{"Conv", 3}}}})),
            "c.json: supergroups[0].op_list[1]: got 3, expected a string");
  EXPECT_EQ(config_error(with("/supergroups", json{{{"op_list", json{"Conv"}}}})),
            "c.json: supergroups[0].op_list: got 1 op types, expected two or more to fuse");
  EXPECT_EQ(config_error(with("/op_type/Relu", json{{"encoding_constraints", json{{"min", "0"}}}})),
            "c.json: op_type.Relu.encoding_constraints.min: got \"0\", expected a number");
  EXPECT_EQ(config_error(with("/defaults/supported_kernels", json::array({json::object()}))),
            "c.json: defaults.supported_kernels[0]: key 'activation' is missing; "
            "add it, if only as an empty section");
  EXPECT_EQ(config_error(with("/supergroup_pass_list", json{1})),
            "c.json: supergroup_pass_list[0]: got 1, expected a string");
}

TEST(SimConfig, UnknownKeysAreRefusedEverywhere) {
  EXPECT_EQ(
      config_error(with("/default", 1)),
      "c.json: unknown key 'default', expected defaults, params, op_type, supergroups, supergroup_pass_list, "
      "model_input, model_output; did you mean defaults?");
  for (const char* place :
       {"/defaults/x", "/defaults/ops/x", "/defaults/params/x", "/params/bias/x", "/op_type/Conv/x",
        "/op_type/Conv/params/weight/x", "/model_input/x", "/model_output/x"})
    EXPECT_NE(config_error(with(place, "True")).find("unknown key 'x'"), std::string::npos) << place;
  EXPECT_NE(config_error(with("/defaults/two\nlines", 1)).find(R"(unknown key '"two\nlines"')"),
            std::string::npos);
}

TEST(SimConfig, UnknownOpTypesAreRefusedWithNearNames) {
  EXPECT_EQ(config_error(with("/op_type/Gem", json::object())),
            "c.json: op_type.Gem: unknown op type 'Gem', expected an ONNX name such as Gemm, Conv or Add; "
            "did you mean Gemm?");
  EXPECT_NE(config_error(with("/op_type/Linear", json::object())).find("; a Linear is a 'Gemm'"),
            std::string::npos);
  EXPECT_NE(config_error(with("/op_type/LayerNorm", json::object())).find("did you mean LayerNormalization?"),
            std::string::npos);
  EXPECT_NE(
      config_error(with("/supergroups", json{{{"op_list", json{"Conv", "ReLU"}}}})).find("did you mean Relu"),
      std::string::npos);
}

TEST(SimConfig, MissingSectionsAreRefused) {
  for (const char* section :
       {"defaults", "params", "op_type", "supergroups", "model_input", "model_output"}) {
    json document = minimal();
    document.erase(section);
    EXPECT_NE(config_error(document.dump()).find(std::string("key '") + section + "' is missing"),
              std::string::npos);
  }
  EXPECT_NE(config_error(with("/defaults", json{{"ops", json::object()}})).find("key 'params' is missing"),
            std::string::npos);
}

TEST(SimConfig, BrokenJsonIsRefused) {
  EXPECT_NE(config_error("").find("c.json: not valid JSON: parse error at line 1, column 1"),
            std::string::npos);
  EXPECT_NE(config_error("{\"defaults\": {").find("c.json: not valid JSON"), std::string::npos);
  EXPECT_NE(config_error("{} trailing").find("c.json: not valid JSON"), std::string::npos);
  EXPECT_NE(config_error("\"\xff\"").find("c.json: not valid JSON"), std::string::npos);
  EXPECT_EQ(config_error(R"({"params": {"bias": {}, "bias": {}}})"),
            "c.json: key 'bias' stands twice in one object; keep one");
  EXPECT_EQ(config_error(std::string(100000, '[')), "c.json: JSON nested more than 64 levels deep");
}

TEST(SimConfig, FilesAreReadAndNamed) {
  const auto folder = std::filesystem::path(ADASCALE_TEST_SCRATCH);
  const std::string path = (folder / "quantsim_config_test.json").string();
  std::ofstream(path) << with("/model_input/is_input_quantized", "True");
  EXPECT_TRUE(read_sim_config(path).quantize_model_input);
  std::ofstream(path) << with("/params", 1);
  EXPECT_EQ(error_of([&] { read_sim_config(path); }), path + ": params: got 1, expected an object");
  std::filesystem::remove(path);
  EXPECT_EQ(error_of([&] { read_sim_config(path); }),
            path + ": no such file; expected a quantsim config in AIMET's JSON format");
  EXPECT_NE(error_of([&] { read_sim_config(folder.string()); }).find("no such file"), std::string::npos);
}

TEST(OpTypes, LayersAreCalledAsTheirKindSays) {
  for (const LayerKind& kind : layer_kinds())
    EXPECT_EQ(op_type_of(kind.op).onnx_type, kind.onnx_type) << kind.name;
}

TEST(OpTypes, InPlaceOperatorsAreTheirPlainOnes) {
  EXPECT_EQ(op_type_of("aten::relu_").onnx_type, "Relu");
  EXPECT_TRUE(is_in_place("aten::relu_"));
  EXPECT_FALSE(is_in_place("aten::__and__"));
  EXPECT_FALSE(is_in_place("aten::relu"));
}

TEST(OpTypes, RolesTellComputingFromMoving) {
  for (const char* op : {"linear", "add", "softmax", "cat", "embedding", "some_new_operator"})
    EXPECT_EQ(op_type_of(std::string("aten::") + op).role, DataRole::kComputes) << op;
  for (const char* op : {"view", "permute", "slice", "split", "max_pool2d", "index"})
    EXPECT_EQ(op_type_of(std::string("aten::") + op).role, DataRole::kMoves) << op;
  for (const char* op : {"dropout", "contiguous", "to", "clone"})
    EXPECT_EQ(op_type_of(std::string("aten::") + op).role, DataRole::kForwards) << op;
  EXPECT_EQ(op_type_of("aten::sym_size").role, DataRole::kShapeOnly);
  EXPECT_EQ(op_type_of("_operator.mul").onnx_type, "");
}

}  // namespace
}  // namespace adascale
