#pragma once
#include <torch/csrc/utils/pybind.h>

#include <string>
#include <utility>
#include <vector>

#include "adascale/io/safetensors.h"
#include "adascale/sim/parts.h"
#include "adascale/tune/live_inputs.h"

namespace adascale::python {

using Notes = std::vector<std::pair<std::string, std::string>>;  // a module's path and a reason

std::vector<PartedModel::LeftOut> to_left_out(const Notes& notes);
std::vector<NamedTensor> to_named(const std::vector<std::pair<std::string, at::Tensor>>& tensors);

/// A model that Python runs (`live_runs.LiveRuns`), which knows `batches` batches. Its functions may be
/// called by any thread; whatever the model raises becomes an Error of one line. Needs the GIL.
LiveModel to_live_model(const py::object& runs, size_t batches, const PartedModel& model);

/// Has the quantized model run on a batch, likewise.
void run_quantized(const py::object& runs, size_t batch);

}  // namespace adascale::python
