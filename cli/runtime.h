#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/data_request.h"

namespace adascale {

/// The names that a program's flat inputs and outputs have; none for what is no tensor.
struct ModelNames {
  std::vector<std::string> inputs;
  std::vector<std::optional<std::string>> outputs;
};

/// An exported file, open in the program that will use it: a batch by the program's input names to its flat
/// outputs, as `ModelNames` has them; undefined: one that the runtime does not give.
using RunBatch = std::function<std::vector<at::Tensor>(const Samples& batch)>;

/// A program that runs exported files. The C++ binary has none; the Python package adds its own.
struct Runtime {
  std::string name;         ///< "onnxruntime"
  std::string files;        ///< what it looks for in the folder: "*.onnx"
  std::string description;  ///< for `adascale list runtimes`
  /// Finds its file in `folder` and loads it. Throws (user) where a package or the file is missing, or the
  /// runtime refuses it.
  std::function<RunBatch(const std::string& folder, const ModelNames& names)> open;
};
using Runtimes = std::vector<Runtime>;

/// Throws (user) listing those there are.
const Runtime& find_runtime(const Runtimes& runtimes, const std::string& name);

}  // namespace adascale
