#include "adascale/core/spelling.h"

#include <ATen/ops/randn.h>

#include "adascale/run/evaluate.h"
#include "adascale/run/run_plan.h"
#include "error_text.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

/// A request with a fault, and the options that the message about it must name.
struct Fault {
  std::vector<std::string> options;
  std::function<void(QuantizeRequest&)> make;
};

class SpelledMessages : public RunTest {
 protected:
  const std::vector<Fault> faults_ = {
      {{"param_bw"}, [](QuantizeRequest& r) { r.sim.default_param_bw = 1; }},
      {{"output_bw"}, [](QuantizeRequest& r) { r.sim.default_output_bw = 3; }},
      {{"grid"}, [](QuantizeRequest& r) { r.sim.grid = "int5"; }},
      {{"group_size"}, [](QuantizeRequest& r) { r.sim.group_size = -1; }},
      {{"decompressed_bw"}, [](QuantizeRequest& r) { r.sim.decompressed_bw = 17; }},
      {{"decompressed_bw"}, [](QuantizeRequest& r) { r.sim.decompressed_bw = 3; }},
      {{"param_bw", "grid"}, [](QuantizeRequest& r) { r.sim.grid = "mxfp4", r.sim.default_param_bw = 8; }},
      {{"group_size", "grid"}, [](QuantizeRequest& r) { r.sim.grid = "mxfp4", r.sim.group_size = 8; }},
      {{"symmetric", "grid"}, [](QuantizeRequest& r) { r.sim.grid = "mxfp4", r.sim.symmetric = false; }},
      {{"layer_config"},
       [](QuantizeRequest& r) {
         r.sim.layer_config = {{"nothing", {.param_bw = 8}}};
       }},
      {{"scheme"}, [](QuantizeRequest& r) { r.scheme = "none"; }},
      {{"outside_bw"}, [](QuantizeRequest& r) { r.outside_bw = 17; }},
      {{"target_bits"}, [](QuantizeRequest& r) { r.target_bits = 0.5; }},
      {{"target_bits", "group_size"}, [](QuantizeRequest& r) { r.target_bits = 16; }},
      {{"target_bits", "target_size"}, [](QuantizeRequest& r) { r.target_bits = 4, r.target_size = "1MB"; }},
      {{"target_bits", "param_bw"},
       [](QuantizeRequest& r) { r.target_bits = 4, r.sim.default_param_bw = 3; }},
      {{"target_bits", "grid"}, [](QuantizeRequest& r) { r.target_bits = 4.5, r.sim.grid = "mxfp4"; }},
      {{"target_size"}, [](QuantizeRequest& r) { r.target_size = "big"; }},
      {{"target_size", "formats", "target_bits"},
       [](QuantizeRequest& r) { r.target_size = "1MB", r.formats = {"pt2"}; }},
      {{"target_widths", "target_bits", "target_size"},
       [](QuantizeRequest& r) {
         r.target_widths = {2, 4};
       }},
      {{"target_widths", "target_bits", "formats"},
       [](QuantizeRequest& r) { r.target_bits = 4, r.target_widths = {4}; }},
      {{"target_bits", "layer_config"},
       [](QuantizeRequest& r) {
         r.target_bits = 4, r.sim.layer_config = {{"*", {.param_bw = 4}}};
       }},
      {{"epochs"}, [](QuantizeRequest& r) { r.training.num_epochs = 0; }},
      {{"iterations"}, [](QuantizeRequest& r) { r.training.num_iterations = 0; }},
      {{"epochs", "iterations"}, [](QuantizeRequest& r) { r.training.num_epochs = 1; }},
      {{"epochs", "iterations"}, [](QuantizeRequest& r) { r.training.recipe = "rtn"; }},
      {{"recipe"}, [](QuantizeRequest& r) { r.training.recipe = "none"; }},
      {{"blocks"}, [](QuantizeRequest& r) { r.training.blocks = {"nothing"}; }},
      {{"train_outside", "outside_bw", "layer_config"},
       [](QuantizeRequest& r) { r.training.train_outside = true; }},
      {{"precision"}, [](QuantizeRequest& r) { r.training.precision = "half"; }},
      {{"precision"},
       [](QuantizeRequest& r) { r.training.precision = "bfloat16", r.sim.default_param_bw = 8; }},
      {{"held_out_batches"}, [](QuantizeRequest& r) { r.training.held_out_batches = -1; }},
      {{"held_out_batches"}, [](QuantizeRequest& r) { r.training.held_out_batches = 3; }},
      {{"activation_memory"}, [](QuantizeRequest& r) { r.training.activation_memory = -1; }},
      {{"device_activation_memory"}, [](QuantizeRequest& r) { r.training.device_activation_memory = 1; }},
      {{"lr_scale"}, [](QuantizeRequest& r) { r.training.lr_scale = 0; }},
      {{"seed"}, [](QuantizeRequest& r) { r.training.seed = -1; }},
      {{"encoding_version"}, [](QuantizeRequest& r) { r.encoding_version = "3"; }},
      {{"encoding_version", "formats"},
       [](QuantizeRequest& r) { r.encoding_version = "0.6.1", r.formats = {"pt2"}; }},
      {{"encoding_version"},
       [](QuantizeRequest& r) {
         r.encoding_version = "2.0.0", r.formats = {"encodings"}, r.sim.default_param_bw = 3;
       }},
      {{"layer_config"}, [](QuantizeRequest& r) { r.formats = {"gguf"}; }},
      {{"device"}, [](QuantizeRequest& r) { r.sim.device = "nothing"; }},
      {{"samples"}, [](QuantizeRequest& r) { r.data.options.samples = 21; }},
      {{"seq_len"}, [](QuantizeRequest& r) { r.data.options.seq_len = 8; }},
      {{"packing"}, [](QuantizeRequest& r) { r.data.options.packing = "padded"; }},
      {{"data_weights"},
       [](QuantizeRequest& r) {
         r.data.options.data_weights = {1, 2};
       }},
      {{"data"}, [](QuantizeRequest& r) { r.data.files.push_back(r.data.files[0]); }},
      {{"batch_size"},
       [](QuantizeRequest& r) { r.model = model_file("fixed"), r.data.options.batch_size = 3; }},
  };
};

TEST_F(SpelledMessages, EveryObjectionNamesItsOptionsAsTheCallerDoes) {
  for (const Spelling spelling :
       {Spelling::kFlag, Spelling::kKeyword, Spelling::kField, Spelling::kJsonKey}) {
    const SpellingScope scope(spelling);
    for (size_t i = 0; i < faults_.size(); ++i) {
      QuantizeRequest faulty = request();
      faults_[i].make(faulty);
      const std::string message = error_of([&] { plan_run(faulty, {pt2_door()}); });
      for (const std::string& name : faults_[i].options)
        EXPECT_HAS(message, option(name)) << " of fault " << i;
      if (spelling != Spelling::kFlag) {
        EXPECT_EQ(message.find(" --"), std::string::npos) << message;
      }
    }
  }
}

TEST_F(SpelledMessages, OfEvaluate) {
  fs::create_directories(path("out"));
  for (const Spelling spelling : {Spelling::kFlag, Spelling::kKeyword}) {
    const SpellingScope scope(spelling);
    const EvaluateRequest request{.model = model_file("blocks"), .folder = path("out")};
    EXPECT_HAS(error_of([&] { evaluate(request, {pt2_door()}, {}); }), option("formats", "pt2"));
    EvaluateRequest other = request;
    other.runtime = "none";
    EXPECT_HAS(error_of([&] { evaluate(other, {pt2_door()}, {}); }), option("runtime") + ": got 'none'");
  }
}

}  // namespace
}  // namespace adascale::testing
