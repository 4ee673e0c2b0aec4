#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/data_request.h"

namespace adascale {

/// The names of a program's flat inputs and outputs; none for those that are not tensors.
struct ModelNames {
  std::vector<std::string> inputs;
  std::vector<std::optional<std::string>> outputs;
};

/// An exported file, opened by a runtime: turns a batch, by the program's input names, into its
/// flat outputs in the order of `ModelNames`; undefined where the runtime does not give one.
using RunBatch = std::function<std::vector<at::Tensor>(const Samples& batch)>;

/// A program that runs exported files. The C++ binary has none; the Python package adds its own.
struct Runtime {
  std::string name;         ///< "onnxruntime"
  std::string files;        ///< the files it looks for in the folder: "*.onnx"
  std::string description;  ///< for `adascale list runtimes`
  /// Finds its file in `folder` and loads it. Throws (user) when a package or the file is missing,
  /// or the runtime refuses the file.
  std::function<RunBatch(const std::string& folder, const ModelNames& names)> open;
};
using Runtimes = std::vector<Runtime>;

/// Throws (user) listing the known ones.
const Runtime& find_runtime(const Runtimes& runtimes, const std::string& name);

}  // namespace adascale
