#pragma once
#include <ATen/Context.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/io/pt2.h"
#include "error_text.h"

namespace adascale::testing {

namespace fs = std::filesystem;

inline const fs::path kScripts = fs::path(ADASCALE_TEST_DATA) / "formats";

/// Runs `script` of this folder; its exit status.
inline int run_python(const std::string& script, const std::vector<std::string>& arguments) {
  std::string command = std::string("'") + ADASCALE_TEST_PYTHON + "' '" + (kScripts / script).string() + "'";
  for (const std::string& argument : arguments) command += " '" + argument + "'";
  return std::system(command.c_str());
}

/// A .pt2 of make_models.py, made when missing or older than the script. Tests run as parallel processes:
/// each makes its own, and the last rename wins.
inline std::string model_file(const std::string& name) {
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "format_models", file = folder / (name + ".pt2");
  if (fs::exists(file) && fs::last_write_time(file) > fs::last_write_time(kScripts / "make_models.py"))
    return file;
  const fs::path own = fs::path(ADASCALE_TEST_SCRATCH) / ("format_models." + std::to_string(getpid()));
  fs::create_directories(own);
  fs::create_directories(folder);
  if (run_python("make_models.py", {own.string()}) != 0) throw std::runtime_error("make_models.py failed");
  for (const auto& made : fs::directory_iterator(own)) fs::rename(made, folder / made.path().filename());
  fs::remove_all(own);
  return file;
}

/// An input for the model of that name.
inline at::Tensor example_input(const std::string& name) {
  at::manual_seed(7);
  if (name == "tied") return at::randint(20, {3, 6}, at::kLong);
  if (name == "seed") return at::rand({4, 3, 32, 64});
  if (name == "sequence") return at::randn({5, 6, 16});
  if (name == "sampled") return at::rand({5, 8});
  if (name == "shapes") return at::rand({3, 8, 4, 4});
  return name == "residual" ? at::randn({3, 3, 8, 8}) : at::randn({5, 16});
}

/// The model after compute_encodings.
inline QuantizationSimModel calibrated_sim(const std::string& name, SimOptions options = {}) {
  QuantizationSimModel sim(load_program(model_file(name)), std::move(options));
  sim.compute_encodings([&](QuantizationSimModel& model) { model(example_input(name)); });
  return sim;
}

/// The seed's W4A16.
inline SimOptions w4a16() {
  return {.quant_scheme = QuantScheme::training_range_learning_with_tf_init,
          .default_param_bw = 4,
          .default_output_bw = 16};
}

/// An empty folder of this test's own, removed afterwards.
class Folder {
 public:
  Folder()
      : path_(fs::path(ADASCALE_TEST_SCRATCH) / ("export." + std::to_string(getpid()) + "." + test_name())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string path(const std::string& name = "") const {
    return (name.empty() ? path_ : path_ / name).string();
  }
  bool is_empty() const { return fs::is_empty(path_); }

 private:
  static std::string test_name() { return ::testing::UnitTest::GetInstance()->current_test_info()->name(); }
  fs::path path_;
};

inline std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

}  // namespace adascale::testing
