#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/utils/pybind.h>

#include <vector>

namespace adascale::python {

/// Flat inputs from Python: tensors, None, bools, ints, floats and strings; anything else is
/// an Error. Needs the GIL.
std::vector<c10::IValue> to_values(const py::list& items);
/// The same, batch by batch.
std::vector<std::vector<c10::IValue>> to_batches(const std::vector<py::list>& batches);
/// Flat outputs to Python, the same kinds. Needs the GIL.
py::list to_python(const std::vector<c10::IValue>& values);

}  // namespace adascale::python
