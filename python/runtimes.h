#pragma once
#include <torch/csrc/utils/pybind.h>

#include "cli/runtime.h"

namespace adascale::python {

/// A runtime written in Python (`adascale.runtimes.runtime.Runtime`); called like a door. Needs the GIL.
Runtime to_runtime(const py::object& runtime);

}  // namespace adascale::python
