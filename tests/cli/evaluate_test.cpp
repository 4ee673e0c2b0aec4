#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>

#include <sstream>

#include "command_case.h"

namespace adascale::testing {
namespace {

class Evaluate : public CommandTest {
 protected:
  /// The cells of the row of one output.
  static std::vector<std::string> row(const std::string& table, const std::string& output) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::vector<std::string> cells{std::istream_iterator<std::string>(words), {}};
      if (cells.size() == 7 && cells[0].find(output) != std::string::npos) return cells;
    }
    return {};
  }
};

TEST_F(Evaluate, ComparesTheQuantizedModel) {
  ASSERT_EQ(run_command(quantize_blocks({"--param-bw", "8", "--output-bw", "16"})).code, 0);
  const std::string held_out = data("held_out.safetensors", {{"x", at::randn({11, 16})}});
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("out"), "--data", held_out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "11 samples");
  const auto cells = row(ran.out, "linear");
  ASSERT_EQ(cells.size(), 7u) << ran.out;
  EXPECT_GT(std::stod(cells[1]), 30);  // 8 bits
  EXPECT_GT(std::stod(cells[2]), 0.999);
  EXPECT_GE(std::stod(cells[3]), 0.9);
  EXPECT_EQ(cells[4], "-");  // not logits over tokens
}

TEST_F(Evaluate, AModelAgainstItselfIsExact) {
  fs::create_directories(path("same"));
  fs::copy(model_file("blocks"), path("same/blocks.pt2"));
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("same"), "--data", samples(8)});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto cells = row(ran.out, "linear");
  ASSERT_EQ(cells.size(), 7u) << ran.out;
  EXPECT_EQ(cells[1], "inf");
  EXPECT_EQ(cells[2], "1.00000");
  EXPECT_EQ(cells[3], "1.0000");
}

TEST_F(Evaluate, LogitsOverTokensGetPerplexityHiddenStatesDoNot) {
  const at::Tensor ids = at::randint(24, {6, 7}, at::kLong);
  const std::string file =
      data("text.safetensors", {{"input_ids", ids}, {"attention_mask", at::ones({6, 7}, at::kLong)}});
  const Ran made = run_command({"quantize", model_file("language"), "--data", file, "--output-dir",
                                path("out"), "--iterations", "2", "--batch-size", "3"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_HAS(made.out, "embedding (Embedding): outside every block");
  const Ran ran = run_command({"evaluate", model_file("language"), path("out"), "--data", file});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto logits = row(ran.out, "linear"), hidden = row(ran.out, "add");
  ASSERT_EQ(logits.size(), 7u) << ran.out;
  ASSERT_EQ(hidden.size(), 7u) << ran.out;
  EXPECT_GT(std::stod(logits[4]), 0);
  EXPECT_GT(std::stod(logits[5]), 1);
  EXPECT_EQ(hidden[4], "-");
}

TEST_F(Evaluate, WantsOneProgramInAFolder) {
  const auto expect_error = [&](const std::string& folder, const std::string& text) {
    const Ran ran = run_command({"evaluate", model_file("blocks"), folder, "--data", samples(4)});
    EXPECT_EQ(ran.code, 2);
    EXPECT_HAS(ran.err, text);
  };
  expect_error(path("none"), "not a folder");
  fs::create_directories(path("two"));
  expect_error(path("two"), "holds 0 .pt2 files, expected exactly one");
  fs::copy(model_file("blocks"), path("two/a.pt2"));
  fs::copy(model_file("blocks"), path("two/b.pt2"));
  expect_error(path("two"), "holds 2 .pt2 files");
  fs::create_directories(path("other"));
  fs::copy(model_file("language"), path("other/language.pt2"));
  expect_error(path("other"), "not made from this model");
}

}  // namespace
}  // namespace adascale::testing
