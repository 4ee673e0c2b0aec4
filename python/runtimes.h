#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/run/runtime.h"
#include "adascale/run/task_runner.h"

namespace adascale::python {

/// A runtime written in Python (`adascale.runtimes.runtime.Runtime`); called like a door. Needs the GIL.
Runtime to_runtime(const py::object& runtime);
/// Likewise of `adascale.runtimes.lm_eval.LmEval`.
TaskRunner to_task_runner(const py::object& runner);

}  // namespace adascale::python
