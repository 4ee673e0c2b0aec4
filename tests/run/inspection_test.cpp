#include "adascale/run/inspection.h"

#include <nlohmann/json.hpp>

#include "adascale/io/pt2.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

using nlohmann::json;

class InspectionTest : public RunTest {
 protected:
  json inspect(const std::string& model, int64_t outside_bw, bool train_outside) const {
    QuantizeRequest asked;
    asked.outside_bw = outside_bw, asked.training.train_outside = train_outside;
    const ModelPlan plan = plan_model(load_program(model_file(model)), asked, false);
    return json::parse(inspection_json(model_file(model), plan, train_outside, {}));
  }
};

int64_t trained_layers(const json& page) {
  int64_t count = 0;
  for (const json& layer : page.at("layers"))
    if (const std::string block = layer.at("block"); !block.empty()) ++count;
  return count;
}

int64_t layers_of_blocks(const json& page) {
  int64_t count = 0;
  for (const json& block : page.at("blocks")) count += block.at("layers").get<int64_t>();
  return count;
}

TEST_F(InspectionTest, NamesBytesAndInputs) {
  const json page = inspect("blocks", 32, false);
  EXPECT_EQ(page.at("model"), "blocks.pt2");
  EXPECT_EQ(page.at("layers").size(), 4);
  EXPECT_EQ(page.at("left_out")[0].at("name"), "head");
  EXPECT_EQ(page.at("inputs")[0].at("name"), "x");
  const json block = page.at("blocks")[0];
  EXPECT_EQ(block.at("name"), "blocks.0");
  EXPECT_EQ(block.at("type"), "Block");
  EXPECT_EQ(block.at("before"), 2 * 512 * 4);
  EXPECT_EQ(block.at("after"), 2 * 512 / 2 + 48 * 4);
}

TEST_F(InspectionTest, ALayerOutsideIsRoundedOrABlockOfItsOwn) {
  const json rounded = inspect("blocks", 8, false);
  EXPECT_EQ(rounded.at("layers").size(), 5);
  EXPECT_EQ(rounded.at("blocks").size(), 2);
  EXPECT_EQ(trained_layers(rounded), 4);
  EXPECT_EQ(layers_of_blocks(rounded), 4);

  const json trained = inspect("blocks", 8, true);
  EXPECT_EQ(trained.at("blocks").size(), 3);
  EXPECT_EQ(trained.at("blocks")[2].at("name"), "head");
  EXPECT_EQ(trained.at("blocks")[2].at("type"), "Linear");
  EXPECT_EQ(trained_layers(trained), 5);
  EXPECT_EQ(layers_of_blocks(trained), 5);

  const json wide = inspect("blocks", 16, true);  // too many bits to train
  EXPECT_EQ(wide.at("blocks").size(), 2);
  EXPECT_EQ(layers_of_blocks(wide), trained_layers(wide));
}

TEST_F(InspectionTest, ALayerCalledBeforeItsBlockIsTrainedInIt) {
  const json page = inspect("shared", 32, false);
  EXPECT_EQ(page.at("layers").size(), 3);
  for (const json& layer : page.at("layers")) {
    EXPECT_EQ(layer.at("not_trained"), "");
    const std::string block = layer.at("name") == "blocks.1.fc" ? "blocks.1" : "blocks.0";
    EXPECT_EQ(layer.at("block"), block) << layer;
  }
  EXPECT_EQ(layers_of_blocks(page), 3);
}

}  // namespace
}  // namespace adascale::testing
