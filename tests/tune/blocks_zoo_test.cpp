// The block rule on small models of many architectures, against tests/tune/golden_blocks.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "adascale/io/pt2.h"
#include "adascale/tune/blocks.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr int kTransformersMissing = 77;
const fs::path kGoldens = fs::path(ADASCALE_TEST_DATA) / "tune/golden_blocks";

/// Runs make_zoo.py and returns its exit code.
int make_zoo(const std::string& group, const fs::path& folder) {
  const std::string script = std::string(ADASCALE_TEST_DATA) + "/tune/make_zoo.py";
  // transformers walks a set of strings for Gemma3: without a fixed seed the order of its nodes changes.
  const std::string command = fmt::format("PYTHONHASHSEED=0 '{}' -B '{}' {} '{}'", ADASCALE_TEST_PYTHON,
                                          script, group, folder.string());
  return WEXITSTATUS(std::system(command.c_str()));
}

/// One line per block, then the layers outside.
std::string describe(const Program& program) {
  const std::vector<Block> blocks = find_blocks(program);
  std::string text;
  for (const Block& block : blocks) text += describe_block(program, block) + "\n";
  std::vector<std::string> outside;
  for (NodeId id : layers_outside(program, blocks)) {
    const Node& node = program.nodes[id];
    outside.push_back(program.calls[node.call].label() + ":" + node.op().substr(sizeof("aten::") - 1));
  }
  return text +
         fmt::format("outside: {}\n", outside.empty() ? "none" : fmt::format("{}", fmt::join(outside, ", ")));
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::set<std::string> stems(const fs::path& folder, const std::string& extension) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) found.insert(entry.path().stem());
  }
  return found;
}

TEST(BlocksOfTheZoo, AreTheGoldenOnes) {
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "blocks_zoo";
  fs::remove_all(folder);
  ASSERT_EQ(make_zoo("plain", folder), 0);
  const int exit_code = make_zoo("transformers", folder);
  const bool has_transformers = exit_code != kTransformersMissing;
  ASSERT_TRUE(exit_code == 0 || !has_transformers) << exit_code;

  const std::set<std::string> models = stems(folder, ".pt2");
  for (const std::string& model : models) {
    const std::string found = describe(load_program((folder / (model + ".pt2")).string()));
    std::ofstream(folder / (model + ".txt")) << found;
    EXPECT_EQ(found, read(kGoldens / (model + ".txt"))) << model;
  }
  if (!has_transformers) GTEST_SKIP() << "transformers is missing: only models without it were compared";
  const std::set<std::string> goldens = stems(kGoldens, ".txt");
  if (std::getenv("ADASCALE_TEST_FULL") != nullptr) {
    EXPECT_EQ(models, goldens);
  } else {
    EXPECT_TRUE(std::includes(goldens.begin(), goldens.end(), models.begin(), models.end()));
    EXPECT_GT(models.size(), goldens.size() / 2);
  }
}

}  // namespace
}  // namespace adascale
