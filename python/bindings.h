#pragma once
#include <torch/csrc/utils/pybind.h>

namespace adascale::python {

void bind_sim(py::module_& module);
void bind_report(py::module_& module);
void bind_parts(py::module_& module);
void bind_device(py::module_& module);
void bind_quantize(py::module_& module);
void bind_scratch(py::module_& module);
void bind_team(py::module_& module);

}  // namespace adascale::python
