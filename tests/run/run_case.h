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
#include "adascale/run/request.h"

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

namespace adascale::testing {

namespace fs = std::filesystem;

/// A .pt2 of make_models.py, made when missing or older than the script. Tests run as parallel processes:
/// each makes its own, and the last rename wins.
inline std::string model_file(const std::string& name) {
  const fs::path script = fs::path(ADASCALE_TEST_DATA) / "run" / "make_models.py";
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "run_models", file = folder / (name + ".pt2");
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
class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test->name();
    std::replace(name.begin(), name.end(), '/', '_');
    folder_ = fs::path(ADASCALE_TEST_SCRATCH) / fmt::format("run.{}.{}", getpid(), name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    at::manual_seed(3);
  }
  ~RunTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string data(const std::string& name, const std::vector<NamedTensor>& tensors) const {
    write_safetensors(path(name), tensors, {});
    return path(name);
  }
  /// Samples [count, 16] for the models that take `x`.
  std::string samples(int64_t count) const {
    return data("calib.safetensors", {{"x", at::randn({count, 16})}});
  }

  /// The two-block model into path("out"), two iterations a block.
  QuantizeRequest request() const {
    QuantizeRequest request;
    request.model = model_file("blocks");
    request.data.files = {samples(20)};
    request.output_dir = path("out");
    request.training.num_iterations = 2;
    return request;
  }

  fs::path folder_;
};

}  // namespace adascale::testing
