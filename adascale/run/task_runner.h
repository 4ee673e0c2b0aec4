#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// A metric of a task, of the model and of the quantized folder.
struct TaskScore {
  std::string task, metric;
  double model = 0, quantized = 0;
  std::optional<double> standard_error;  ///< of the quantized one's
};

/// A benchmark of model folders by tasks with names. The C++ binary has none; the Python package brings lm-eval.
struct TaskRunner {
  using Names = std::vector<std::string>;
  /// Before work begins. Throws (user) where a package, a task or what it reads of a folder is missing.
  std::function<void(const std::string& model, const std::string& folder, const Names& tasks)> check;
  std::function<std::vector<TaskScore>(const std::string& model, const std::string& folder,
                                       const Names& tasks, const std::string& device)>
      run;
};

}  // namespace adascale
