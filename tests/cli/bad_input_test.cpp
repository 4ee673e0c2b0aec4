#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "command_case.h"

namespace adascale::testing {
namespace {

/// Everything here ends with code 2, one line on standard error, and no output folder.
class BadInput : public CommandTest {
 protected:
  void expect_error(std::vector<std::string> args, const std::string& text) const {
    args.insert(args.begin(),
                {"quantize", "--dry-run"});  // finds all that the run would but numbers of weights
    if (std::find(args.begin(), args.end(), "--output-dir") == args.end())
      args.insert(args.end(), {"--output-dir", path("out")});
    const Ran ran = run_command(args);
    EXPECT_EQ(ran.code, 2) << ran.out;
    EXPECT_EQ(ran.err.rfind("adascale: error: ", 0), 0u) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_HAS(ran.err, text);
    EXPECT_FALSE(fs::exists(path("out")));
  }
  void expect_data_error(const std::string& model, const std::vector<NamedTensor>& tensors,
                         const std::string& text, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {model_file(model), "--data", data("bad.safetensors", tensors)};
    args.insert(args.end(), more.begin(), more.end());
    expect_error(args, text);
  }
};

TEST_F(BadInput, ModelFiles) {
  expect_error({path("none.pt2"), "--data", samples(4)}, "none.pt2");
  const std::string whole = read_bytes(model_file("blocks"));
  write_text(path("cut.pt2"), whole.substr(0, whole.size() / 2));
  expect_error({path("cut.pt2"), "--data", samples(4)}, "cut.pt2");
  expect_error({model_file("flat"), "--data", samples(4)}, "no block found");
}

TEST_F(BadInput, DataFiles) {
  expect_error({model_file("blocks"), "--data", path("none.safetensors")}, "none.safetensors");
  write_text(path("text.safetensors"), "not tensors");
  expect_error({model_file("blocks"), "--data", path("text.safetensors")}, "text.safetensors");
  expect_data_error("blocks", {}, "bad.safetensors: no tensors");
  expect_data_error("blocks", {{"x", at::zeros({0, 16})}}, "'x' has no samples");
}

TEST_F(BadInput, NamesDtypesShapesAndCountsAllAtOnce) {
  expect_data_error(
      "sum", {{"left", at::arange(40).view({4, 10})}, {"rest", at::randn({5, 16})}},
      "no tensor is named 'right'; 'rest' is none of the model's inputs (left, right); "
      "'left' is Long, expected Float; "
      "'left' has size 10 along dimension 1, expected 16; sample counts differ: 'left' 4, 'rest' 5");
  expect_data_error("blocks", {{"x", at::randn({4, 4, 16})}},
                    "'x' has 3 dimensions, expected 2, samples first");
}

TEST_F(BadInput, NaNAndInfinity) {
  at::Tensor x = at::randn({9, 16});
  x[8][3] = std::numeric_limits<float>::quiet_NaN();
  expect_data_error("blocks", {{"x", x}}, "'x' holds NaN or infinity");
  x[8][3] = std::numeric_limits<float>::infinity();
  expect_data_error("blocks", {{"x", x}}, "'x' holds NaN or infinity");
}

TEST_F(BadInput, Batches) {
  const std::vector<NamedTensor> ten = {{"x", at::randn({10, 16})}};
  expect_data_error("fixed", ten, "10 samples in batches of 4 leave a last batch of 2");
  expect_data_error("fixed", ten, "batches of 5 samples, but the model takes 4", {"--batch-size", "5"});
  expect_data_error("at_3_to_6", ten, "but the model takes 3 to 6");
  expect_data_error("at_3_to_6", ten, "leave a last batch of 1", {"--batch-size", "3"});
  expect_data_error("blocks", ten, "--batch-size: got 0", {"--batch-size", "0"});
}

TEST_F(BadInput, DataOptions) {
  const std::vector<NamedTensor> ten = {{"x", at::randn({10, 16})}};
  expect_data_error("blocks", ten, "10 samples, but --samples asks for 11", {"--samples", "11"});
  expect_data_error("blocks", ten, "--data-weights: got 2 numbers for 1 files", {"--data-weights", "1", "2"});
  expect_data_error("blocks", ten,
                    "--seq-len, --packing: for text only, and a .pt2 takes none; "
                    "--data-weights: for several files, and a .pt2 takes one",
                    {"--seq-len", "8", "--packing", "padded", "--data-weights", "1"});
  expect_error({model_file("blocks"), "--data", samples(4), samples(4)}, "got 2 files, expected one");
}

TEST_F(BadInput, OnnxIsNoModelOfOurs) {
  expect_error({"model.onnx", "--data", samples(4)}, "model.onnx: ONNX models are not opened");
}

TEST_F(BadInput, Options) {
  const auto expect_option_error = [&](const std::vector<std::string>& more, const std::string& text) {
    expect_data_error("blocks", {{"x", at::randn({16, 16})}}, text, more);
  };
  expect_option_error({"--epochs", "1", "--iterations", "2"}, "--epochs and --iterations");
  expect_option_error({"--fail-if", "kl=3"}, "--fail-if: got 'kl=3', expected NAME>VALUE or NAME<VALUE");
  expect_option_error({"--fail-if", "kl>0.1"},
                      "--fail-if: kl needs held-out data, which quantize does not take; "
                      "give it to adascale evaluate");
  expect_option_error({"--fail-if", "left_out>0", "--dry-run"},
                      "--fail-if: a dry run has no results; leave out one of --fail-if and --dry-run");
  expect_option_error({"--fail-if", "leftout>0"},
                      "--fail-if: got 'leftout', expected one of sqnr_min, worse_blocks, "
                      "left_out, size_mb; did you mean left_out?");
  expect_option_error({"--epochs", "0"}, "--epochs: got 0");
  expect_option_error({"--recipe", "slow"},
                      "--recipe: got 'slow', expected one of fast, best, aimet, clip, rtn");
  expect_option_error({"--format", "ggufs"},
                      "--format: got 'ggufs', expected some of safetensors, pt2, encodings, hf, "
                      "compressed-tensors, gptq, gguf; did you mean gguf?");
  expect_option_error({"--format", "pt2", "--format", "pt2"}, "--format: pt2 is named twice; name it once");
  expect_option_error({"--param-bw", "17"}, "got 17");
  expect_option_error({"--param-bw", "1"}, "--param-bw: got 1");
  expect_option_error({"--group-size", "5"}, "5");
  expect_option_error({"--lr-scale", "-1"}, "--lr-scale: got -1");
  expect_option_error({"--threads", "0"}, "--threads: got 0");
  expect_option_error({"--threads", "100000"}, "--threads: got 100000, expected 1 to 1024");
  expect_option_error({"--held-out-batches", "2"}, "--held-out-batches: got 2 of 2 batches");
  expect_option_error({"--config", path("none.json")}, "none.json");
  expect_option_error({"--blocks", "nothing"}, "'nothing' matches no module");
}

TEST_F(BadInput, AFolderThatCannotBeMade) {
  write_text(path("file"), "");
  expect_error({model_file("blocks"), "--data", samples(4), "--output-dir", path("file/out")}, "file");
}

TEST_F(BadInput, TheModelItselfIsNotOverwritten) {
  fs::copy(model_file("blocks"), path("blocks.pt2"));
  const std::string before = read_bytes(path("blocks.pt2"));
  expect_error({path("blocks.pt2"), "--data", samples(4), "--output-dir", folder_.string()},
               "would be overwritten");
  EXPECT_EQ(read_bytes(path("blocks.pt2")), before);
}

}  // namespace
}  // namespace adascale::testing
