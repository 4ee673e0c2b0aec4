#include "adascale/io/safetensors.h"

#include <set>

#include "adascale/sim/sim_editor.h"
#include "model_files.h"

namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::Folder;
using testing::model_file;
using testing::run_python;
using testing::w4a16;

std::map<std::string, at::Tensor> exported_state(const QuantizationSimModel& sim, const Folder& folder) {
  export_model(sim, folder.path(), "model", {"safetensors"});
  std::map<std::string, at::Tensor> state;
  for (const NamedTensor& named : read_safetensors(folder.path("model.safetensors")))
    state.emplace(named.name, named.tensor.clone());
  return state;
}

TEST(SafetensorsFormat, WeightsAreTheirCodesDequantizedBitForBit) {
  const Folder folder;
  SimOptions options = w4a16();
  options.layer_config = {{"linear_blocks.1.*", {.symmetric = false}},
                          {"linear_blocks.2.*", {.group_size = 16}},
                          {"linear_blocks.3.fc1", {.per_channel = false}}};
  const QuantizationSimModel sim = calibrated_sim("seed", options);
  const auto state = exported_state(sim, folder);
  ASSERT_EQ(sim.weights().size(), 10U);
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const Encoding encoding = sim.weight_encoding(static_cast<int32_t>(i));
    EXPECT_TRUE(state.at(encoding.name).equal(dequantize(encoding))) << encoding.name;
  }
}

TEST(SafetensorsFormat, FoldedCodesAreTheTruth) {
  for (const bool in_place : {false, true}) {
    const Folder folder;
    SimOptions options = w4a16();
    options.in_place = in_place;
    QuantizationSimModel sim(load_program(model_file("seed")), options);
    Encoding encoding = sim.weight_encoding(0);
    encoding.codes = encoding.codes.neg().clamp(-8, 7);
    const at::Tensor expected = dequantize(encoding);
    SimEditor(sim).fold(0, encoding, true);
    EXPECT_TRUE(exported_state(sim, folder).at(encoding.name).equal(expected)) << in_place;
  }
}

TEST(SafetensorsFormat, WhatIsNotQuantizedStaysAsItWas) {
  const Folder folder;
  SimOptions options = w4a16();
  options.layer_config = {{"conv1", {.param_bw = 32}}};
  const QuantizationSimModel sim = calibrated_sim("residual", options);
  const auto state = exported_state(sim, folder);
  std::set<std::string> changed;
  for (const auto& [name, tensor] : state)
    if (!tensor.equal(sim.program().state.at(name))) changed.insert(name);
  EXPECT_EQ(changed, std::set<std::string>{"conv2.weight"});
  EXPECT_TRUE(state.contains("bn.num_batches_tracked"));
}

TEST(SafetensorsFormat, TiedWeightsAreStoredOnceUnderTheFirstName) {
  const Folder folder;
  const auto state = exported_state(calibrated_sim("tied", w4a16()), folder);
  std::set<std::string> names;
  for (const auto& [name, tensor] : state) names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"emb.weight", "fc.bias", "fc.weight", "flags", "kept", "unused"}));
}

TEST(SafetensorsFormat, LoadsAsAStateDict) {
  const Folder folder;
  std::vector<std::string> arguments = {"state"};
  for (const std::string name : {"seed", "tied", "residual"}) {
    export_model(calibrated_sim(name, w4a16()), folder.path(), name, {"safetensors"});
    arguments.insert(arguments.end(), {folder.path(name + ".safetensors"), model_file(name)});
  }
  EXPECT_EQ(run_python("reload.py", arguments), 0);
}

}  // namespace
}  // namespace adascale
