#include <ATen/ops/_unique.h>
#include <ATen/ops/rand.h>

#include "adascale/io/pt2.h"
#include "adascale/io/safetensors.h"
#include "adascale/run/text.h"
#include "command_case.h"

namespace adascale::testing {
namespace {

class Quantize : public CommandTest {};

TEST_F(Quantize, WritesTheThreeFilesAndReports) {
  const Ran ran = run_command(quantize_blocks());
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const char* name : {"out/blocks.pt2", "out/blocks.safetensors", "out/blocks_torch.encodings"}) {
    EXPECT_TRUE(fs::exists(path(name))) << name;
    EXPECT_HAS(ran.out, "wrote     " + path(name));
  }
  for (const char* text :
       {"2 blocks, 4 layers to quantize (4 int4 symmetric per channel); activations in full precision",
        "20 samples, 3 batches of 8", "recipe fast, 2 iterations per block", "kB ->", "rounded",
        "head (Linear): outside every block", "peak memory"})
    EXPECT_HAS(ran.out, text);
}

TEST_F(Quantize, AResultBeyondABoundEndsWithThree) {
  const Ran ran = run_command(quantize_blocks({"--fail-if", "left_out>0", "sqnr_min<1000", "size_mb>50"}));
  EXPECT_EQ(ran.code, 3);
  EXPECT_HAS(ran.err,
             "\nadascale: error: left_out is 1, which --fail-if 'left_out>0' does not allow; sqnr_min is ");
  EXPECT_HAS(ran.err, "--fail-if 'sqnr_min<1000' does not allow\n");
  EXPECT_EQ(ran.err.find("size_mb"), std::string::npos) << ran.err;
  EXPECT_TRUE(fs::exists(path("out/blocks.pt2")));
}

TEST_F(Quantize, SaysWhatEachFormatTakes) {
  const Ran ran = run_command(quantize_blocks());
  EXPECT_HAS(ran.out, "kB as before in pt2, safetensors, numbers in the model's dtype; ");
  EXPECT_HAS(ran.out, "kB as packed codes and scales, the quantized layers ");
  EXPECT_HAS(ran.out, fmt::format("{}, {}\n", path("out/blocks.safetensors"),
                                  format_bytes(fs::file_size(path("out/blocks.safetensors")))));
}

TEST_F(Quantize, SaysThatEncodingsHoldNoWeights) {
  const Ran ran = run_command(quantize_blocks({"--format", "encodings"}));
  EXPECT_HAS(ran.out, "no weights in encodings; ");
}

TEST_F(Quantize, ResultsWithinTheirBoundsAreDone) {
  const Ran ran = run_command(quantize_blocks({"--fail-if", "left_out>1", "worse_blocks>2", "sqnr_min<1"}));
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(Quantize, PutsTheWeightsOnTheirGridAndLeavesTheRest) {
  ASSERT_EQ(run_command(quantize_blocks()).code, 0);
  const Program before = load_program(model_file("blocks")), after = load_program(path("out/blocks.pt2"));
  EXPECT_TRUE(before.state.at("head.weight").equal(after.state.at("head.weight")));
  const at::Tensor row = after.state.at("blocks.1.fc1.weight")[0];
  EXPECT_LE(std::get<0>(at::_unique(row)).numel(), 16);
  EXPECT_FALSE(row.equal(before.state.at("blocks.1.fc1.weight")[0]));
}

TEST_F(Quantize, FoldsBatchNormsUnlessToldNotTo) {
  write_safetensors(path("images.safetensors"), {{"x", at::rand({16, 4, 6, 6})}}, {});
  const auto norms_left = [&](const std::string& folder, const std::vector<std::string>& more) {
    std::vector<std::string> args = {
        "quantize", model_file("cnn"), "--data",    path("images.safetensors"), "--iterations",
        "2",        "--output-dir",    path(folder)};
    args.insert(args.end(), more.begin(), more.end());
    const Ran ran = run_command(args);
    EXPECT_EQ(ran.code, 0) << ran.err;
    const Program written = load_program(path(folder + "/cnn.pt2"));
    EXPECT_EQ(written.state.contains("blocks.0.conv1.bias"), more.empty());
    return std::count_if(written.nodes.begin(), written.nodes.end(),
                         [](const Node& node) { return node.op() == "aten::batch_norm"; });
  };
  EXPECT_EQ(norms_left("folded", {}), 1);
  EXPECT_EQ(norms_left("kept", {"--no-fold-batch-norms"}), 5);
}

TEST_F(Quantize, DryRunSaysAllAndLeavesNothing) {
  const Ran ran = run_command(quantize_blocks({"--dry-run"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const std::string& text : {std::string("2 blocks"), std::string("2 iterations per block"),
                                  std::string("of activations"), path("out/blocks.pt2")})
    EXPECT_HAS(ran.out, text);
  EXPECT_EQ(ran.out.find("wrote"), std::string::npos);
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(Quantize, SameSeedSameBytes) {
  ASSERT_EQ(run_command(quantize_blocks({"--seed", "5", "--output-bw", "8"})).code, 0);
  const std::string first = read_bytes(path("out/blocks.safetensors"));
  const std::string first_encodings = read_bytes(path("out/blocks_torch.encodings"));
  at::manual_seed(3);  // the same calibration data
  ASSERT_EQ(run_command(quantize_blocks({"--seed", "5", "--output-bw", "8"})).code, 0);
  EXPECT_EQ(read_bytes(path("out/blocks.safetensors")), first);
  EXPECT_EQ(read_bytes(path("out/blocks_torch.encodings")), first_encodings);
}

TEST_F(Quantize, ActivationsGetEncodings) {
  const Ran ran = run_command(quantize_blocks({"--output-bw", "16"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "activations on grids");
  EXPECT_HAS(read_bytes(path("out/blocks_torch.encodings")), "\"activation_encodings\"");
  const Program program = load_program(path("out/blocks.pt2"));
  const bool quantized = std::any_of(program.nodes.begin(), program.nodes.end(), [](const Node& node) {
    return node.op() == "aten::fake_quantize_per_tensor_affine";
  });
  EXPECT_TRUE(quantized);
}

TEST_F(Quantize, TheRecipesBudgetWithoutEpochsAndIterations) {
  const Ran ran = run_command(
      {"quantize", model_file("blocks"), "--data", samples(16), "--output-dir", path("out"), "--dry-run"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "200 iterations per block");
}

TEST_F(Quantize, EpochsCountBatchesTrainedOn) {
  const Ran ran = run_command({"quantize", model_file("blocks"), "--data", samples(40), "--output-dir",
                               path("out"), "--epochs", "3", "--held-out-batches", "1", "--dry-run"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "12 iterations per block");
}

TEST_F(Quantize, AsymmetricGroups) {
  const Ran ran = run_command(quantize_blocks({"--group-size", "8", "--no-symmetric"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "4 int4 asymmetric per group of 8");
}

TEST_F(Quantize, OnlyTheFormatsAskedFor) {
  ASSERT_EQ(run_command(quantize_blocks({"--format", "safetensors"})).code, 0);
  EXPECT_TRUE(fs::exists(path("out/blocks.safetensors")));
  EXPECT_FALSE(fs::exists(path("out/blocks.pt2")));
}

TEST_F(Quantize, TheOneInputsTensorMayHaveAnyName) {
  const std::string file = data("any.safetensors", {{"features", at::randn({8, 16})}});
  const Ran ran = run_command(
      {"quantize", model_file("blocks"), "--data", file, "--output-dir", path("out"), "--dry-run"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(Quantize, TheFirstSamplesAlone) {
  const Ran ran = run_command({"quantize", model_file("blocks"), "--data", samples(40), "--output-dir",
                               path("out"), "--samples", "12", "--dry-run"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "12 samples, 2 batches of 8");
}

TEST_F(Quantize, AFixedBatchIsTakenWithoutAsking) {
  const Ran ran = run_command(
      {"quantize", model_file("fixed"), "--data", samples(12), "--output-dir", path("out"), "--dry-run"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "3 batches of 4");
}

}  // namespace
}  // namespace adascale::testing
