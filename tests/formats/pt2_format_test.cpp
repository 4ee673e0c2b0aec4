#include "adascale/io/safetensors.h"
#include "model_files.h"

namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::example_input;
using testing::Folder;
using testing::run_python;

struct Case {
  std::string model;
  int64_t param_bw, output_bw;
  bool symmetric;
};

const std::vector<Case> kCases = {{"seed", 4, 16, true},   {"seed", 8, 8, false},
                                  {"tied", 4, 8, true},    {"residual", 4, 8, true},
                                  {"masked", 4, 16, true}, {"residual", 8, 32, true}};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model << " W" << c.param_bw << "A" << c.output_bw;
}

QuantizationSimModel sim_of(const Case& c) {
  return calibrated_sim(
      c.model, {.default_param_bw = c.param_bw, .default_output_bw = c.output_bw, .symmetric = c.symmetric});
}

class Pt2Format : public ::testing::TestWithParam<Case> {};

TEST_P(Pt2Format, ComputesWhatTheSimulationComputes) {
  const Folder folder;
  const QuantizationSimModel sim = sim_of(GetParam());
  export_model(sim, folder.path(), "model", {"pt2"});
  const Inputs inputs = {example_input(GetParam().model)};
  const Outputs expected = sim.run(inputs);
  const Outputs got = run_program(load_program(folder.path("model.pt2")), inputs);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(got[i].toTensor().equal(expected[i].toTensor())) << i;
}

TEST_P(Pt2Format, HasOneNodePerActivationEncoding) {
  const Folder folder;
  const QuantizationSimModel sim = sim_of(GetParam());
  export_model(sim, folder.path(), "model", {"pt2"});
  size_t nodes = 0, encodings = 0;
  for (const Node& node : load_program(folder.path("model.pt2")).nodes)
    nodes += node.op() == "aten::fake_quantize_per_tensor_affine";
  for (const ActivationQuantizer& quantizer : sim.activations()) encodings += quantizer.encoding.has_value();
  EXPECT_EQ(nodes, encodings);
  EXPECT_EQ(nodes > 0, GetParam().output_bw < 32);
}

INSTANTIATE_TEST_SUITE_P(Models, Pt2Format, ::testing::ValuesIn(kCases));

/// The inputs and the simulation's outputs, as reload.py reads them.
void write_call(const QuantizationSimModel& sim, const at::Tensor& input, const std::string& path) {
  std::vector<NamedTensor> call = {{"0", input}};
  for (const c10::IValue& output : sim.run({input}))
    call.push_back({"out" + std::to_string(call.size() - 1), output.toTensor().contiguous()});
  write_safetensors(path, call, {});
}

TEST(Pt2Reload, PyTorchComputesWhatTheSimulationComputes) {
  const Folder folder;
  std::vector<std::string> arguments = {"pt2"};
  for (size_t i = 0; i < kCases.size(); ++i) {
    const QuantizationSimModel sim = sim_of(kCases[i]);
    const std::string name = "model" + std::to_string(i);
    export_model(sim, folder.path(), name, {"pt2"});
    write_call(sim, example_input(kCases[i].model), folder.path(name + ".call"));
    arguments.insert(arguments.end(), {folder.path(name + ".pt2"), folder.path(name + ".call")});
  }
  EXPECT_EQ(run_python("reload.py", arguments), 0);
}

TEST(Pt2Reload, StateIsTheSameAsSafetensors) {
  const Folder folder;
  std::vector<std::string> arguments = {"same"};
  for (const std::string name : {"seed", "tied", "residual"}) {
    export_model(calibrated_sim(name, testing::w4a16()), folder.path(), name, {"safetensors", "pt2"});
    arguments.insert(arguments.end(), {folder.path(name + ".safetensors"), folder.path(name + ".pt2")});
  }
  EXPECT_EQ(run_python("reload.py", arguments), 0);
}

TEST(Pt2Reload, AQuantizedProgramIsNotQuantizedAgain) {
  const Folder folder;
  export_model(calibrated_sim("seed", testing::w4a16()), folder.path(), "model", {"pt2"});
  const std::string error =
      testing::error_of([&] { QuantizationSimModel(load_program(folder.path("model.pt2")), {}); });
  EXPECT_NE(error.find("the program is quantized already (aten::fake_quantize"), std::string::npos) << error;
}

}  // namespace
}  // namespace adascale
