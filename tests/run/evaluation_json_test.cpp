#include "adascale/run/evaluation_json.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace adascale {
namespace {

using nlohmann::json;

EvaluateRequest request() {
  EvaluateRequest request;
  request.model = "/home/me/model.pt2", request.folder = "/home/me/out/";
  request.data.files = {"/home/me/held.safetensors"};
  return request;
}

json read(const EvaluatedFolder& result) {
  return json::parse(evaluation_json(request(), result));
}

OutputComparison output(std::vector<double> sqnr_by_sample) {
  OutputComparison output{.name = "y", .runner = "simulation"};
  output.metrics.add(at::ones({2, 3}), at::ones({2, 3}));
  output.sqnr_by_sample = std::move(sqnr_by_sample);
  return output;
}

TEST(EvaluationJson, NamesAreWithoutTheirFolders) {
  EvaluatedFolder result;
  result.simulation = "/home/me/out/model.pt2";
  const json told = read(result);
  EXPECT_EQ(told.at("model"), "model.pt2");
  EXPECT_EQ(told.at("folder"), "out");
  EXPECT_EQ(told.at("simulation"), "model.pt2");
  EXPECT_EQ(told.at("data"), json({"held.safetensors"}));
  EXPECT_EQ(told.dump().find("/home"), std::string::npos);
}

TEST(EvaluationJson, TheTenWorstSamplesComeFirst) {
  EvaluatedFolder result;
  std::vector<double> sqnr;
  for (int i = 0; i < 12; ++i) sqnr.push_back(30 - i % 6);
  result.evaluation.outputs = {output(sqnr)};
  const json worst = read(result).at("outputs")[0].at("worst");
  ASSERT_EQ(worst.size(), 10);
  EXPECT_EQ(worst[0], (json{{"sample", 5}, {"sqnr_db", 25.0}}));
  EXPECT_EQ(worst[1].at("sample"), 11) << "of equal ones the earlier first";
  EXPECT_EQ(worst[9].at("sqnr_db"), 29.0);
}

TEST(EvaluationJson, NumbersThatAreNotFiniteAreNull) {
  EvaluatedFolder result;
  result.evaluation.outputs = {output({std::numeric_limits<double>::infinity()})};
  const json told = read(result).at("outputs")[0];
  EXPECT_TRUE(told.at("sqnr_db").is_null()) << "the outputs are equal";
  EXPECT_TRUE(told.at("worst")[0].at("sqnr_db").is_null());
}

TEST(EvaluationJson, TokensHaveAtMost128Points) {
  OutputComparison logits{.name = "logits", .runner = "simulation"};
  const at::Tensor fp = at::zeros({1, 300, 4}), ids = at::arange(300).view({1, 300}) % 4;
  at::Tensor quant = fp.clone();
  quant[0][200][2] = 3;
  logits.metrics.add(fp, quant);
  logits.tokens.emplace().add(fp, quant, ids, {});
  EvaluatedFolder result;
  result.evaluation.outputs = {logits};
  result.decode = [](const std::vector<int64_t>& tokens) { return std::to_string(tokens.size()); };
  const json tokens = read(result).at("outputs")[0].at("tokens");
  EXPECT_EQ(tokens.at("kl_by_position").size(), 100);  // stretches of 3
  double sum = 0;
  for (const json& point : tokens.at("kl_by_position")) sum += 3 * point[1].get<double>();
  EXPECT_NEAR(sum / 300, tokens.at("kl").get<double>(), 1e-9);
  const json worst = tokens.at("worst")[0].at("worst");
  EXPECT_EQ(worst.at("position"), 200);
  EXPECT_EQ(worst.at("quant_next"), 2);
  EXPECT_EQ(worst.at("quant_next_text"), "1");
  result.decode = {};
  EXPECT_TRUE(
      read(result).at("outputs")[0].at("tokens").at("worst")[0].at("worst").at("before_text").is_null());
}

TEST(EvaluationJson, ScoresAndWhatTheirFolderDoesNotHold) {
  EvaluatedFolder result;
  result.tasks = {{"arc", "acc", 0.5, 0.4375, std::nullopt}};
  result.activations_not_held = 12;
  const json told = read(result);
  EXPECT_TRUE(told.at("tasks")[0].at("standard_error").is_null());
  EXPECT_EQ(told.at("activations_not_held"), 12);
  EXPECT_EQ(told.at("outputs"), json::array());
}

}  // namespace
}  // namespace adascale
