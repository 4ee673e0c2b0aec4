#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/run/runtime.h"

namespace adascale::python {

/// A runtime written in Python (`adascale.runtimes.runtime.Runtime`); called like a door. Needs the GIL.
Runtime to_runtime(const py::object& runtime);

}  // namespace adascale::python
