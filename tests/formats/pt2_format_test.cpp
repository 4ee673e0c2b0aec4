#include <map>

#include "adascale/io/safetensors.h"
#include "model_files.h"

namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::example_input;
using testing::Folder;
using testing::run_python;
using testing::w4a16;

struct Case {
  std::string model;
  int64_t param_bw, output_bw;
  bool symmetric;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model << " W" << c.param_bw << "A" << c.output_bw;
}

class Pt2Format : public ::testing::TestWithParam<Case> {
 protected:
  QuantizationSimModel sim() const {
    const Case& c = GetParam();
    return calibrated_sim(
        c.model,
        {.default_param_bw = c.param_bw, .default_output_bw = c.output_bw, .symmetric = c.symmetric});
  }
  at::Tensor input() const { return example_input(GetParam().model); }
};

TEST_P(Pt2Format, ComputesWhatTheSimulationComputes) {
  const Folder folder;
  const QuantizationSimModel model = sim();
  export_model(model, folder.path(), "model", {"pt2"});
  const Outputs expected = model.run({input()});
  const Outputs got = run_program(load_program(folder.path("model.pt2")), {input()});
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(got[i].toTensor().equal(expected[i].toTensor())) << i;
}

TEST_P(Pt2Format, PyTorchLoadsItAndComputesTheSame) {
  const Folder folder;
  const QuantizationSimModel model = sim();
  export_model(model, folder.path(), "model", {"pt2"});
  std::vector<NamedTensor> call = {{"0", input()}};
  const Outputs expected = model.run({input()});
  for (size_t i = 0; i < expected.size(); ++i)
    call.push_back({"out" + std::to_string(i), expected[i].toTensor().contiguous()});
  write_safetensors(folder.path("call.safetensors"), call, {});
  EXPECT_EQ(run_python("reload.py",
                       "pt2 '" + folder.path("model.pt2") + "' '" + folder.path("call.safetensors") + "'"),
            0);
}

TEST_P(Pt2Format, HasOneNodePerActivationEncoding) {
  const Folder folder;
  const QuantizationSimModel model = sim();
  export_model(model, folder.path(), "model", {"pt2"});
  size_t nodes = 0, encodings = 0;
  for (const Node& node : load_program(folder.path("model.pt2")).nodes)
    nodes += node.op() == "aten::fake_quantize_per_tensor_affine";
  for (const ActivationQuantizer& quantizer : model.activations())
    encodings += quantizer.encoding.has_value();
  EXPECT_EQ(nodes, encodings);
  EXPECT_EQ(nodes > 0, GetParam().output_bw < 32);
}

INSTANTIATE_TEST_SUITE_P(Models, Pt2Format,
                         ::testing::Values(Case{"seed", 4, 16, true}, Case{"seed", 8, 8, false},
                                           Case{"tied", 4, 8, true}, Case{"residual", 4, 8, true},
                                           Case{"masked", 4, 16, true}, Case{"residual", 8, 32, true}));

TEST(Pt2State, IsTheSameAsSafetensors) {
  for (const std::string name : {"seed", "tied", "residual"}) {
    const Folder folder;
    export_model(calibrated_sim(name, w4a16()), folder.path(), "model", {"safetensors", "pt2"});
    EXPECT_EQ(run_python("reload.py", "same '" + folder.path("model.safetensors") + "' '" +
                                          folder.path("model.pt2") + "'"),
              0)
        << name;
  }
}

}  // namespace
}  // namespace adascale
