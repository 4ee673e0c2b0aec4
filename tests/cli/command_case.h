#pragma once
#include <ATen/Context.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "adascale/io/safetensors.h"
#include "cli/cli_main.h"

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

namespace adascale::testing {

namespace fs = std::filesystem;

/// The results of one run of the command.
struct Ran {
  int code = 0;
  std::string out, err;
};

inline Ran run_command(const std::vector<std::string>& args, const Doors& doors = {pt2_door()},
                       const Runtimes& runtimes = {}) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = cli_main(args, doors, runtimes);
  Ran ran{code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  return ran;
}

/// A .pt2 of make_models.py, made when missing or older than the script. Tests run as parallel processes:
/// each makes its own, and the last rename wins.
inline std::string model_file(const std::string& name) {
  const fs::path script = fs::path(ADASCALE_TEST_DATA) / "cli" / "make_models.py";
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "cli_models", file = folder / (name + ".pt2");
  if (fs::exists(file) && fs::last_write_time(file) > fs::last_write_time(script)) return file;
  const fs::path own = folder.string() + "." + std::to_string(getpid());
  fs::create_directories(own);
  fs::create_directories(folder);
  const std::string command =
      std::string("'") + ADASCALE_TEST_PYTHON + "' '" + script.string() + "' '" + own.string() + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("make_models.py failed");
  for (const auto& made : fs::directory_iterator(own)) fs::rename(made, folder / made.path().filename());
  fs::remove_all(own);
  return file;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// A test with an empty folder of its own, removed afterwards.
class CommandTest : public ::testing::Test {
 protected:
  CommandTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test->name();
    std::replace(name.begin(), name.end(), '/', '_');
    folder_ = fs::path(ADASCALE_TEST_SCRATCH) / fmt::format("cli.{}.{}", getpid(), name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    at::manual_seed(3);
  }
  ~CommandTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string data(const std::string& name, const std::vector<NamedTensor>& tensors) const {
    write_safetensors(path(name), tensors, {});
    return path(name);
  }
  /// Samples [count, 16] for the models that take `x`.
  std::string samples(int64_t count) const {
    return data("calib.safetensors", {{"x", at::randn({count, 16})}});
  }

  /// `quantize` of the two-block model into path("out"), two iterations a block.
  std::vector<std::string> quantize_blocks(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize",     model_file("blocks"), "--data",       samples(20),
                                     "--output-dir", path("out"),          "--iterations", "2"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

  fs::path folder_;
};

}  // namespace adascale::testing
