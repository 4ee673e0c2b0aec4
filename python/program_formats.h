#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/run/door.h"

namespace adascale::python {

/// A format written in Python for any model (`adascale.formats.ProgramFormat`): it gets the
/// program, the grids and, once they exist, the encodings. Needs the GIL.
ExportFormat to_program_format(const py::object& format);
std::vector<ExportFormat> to_program_formats(const std::vector<py::object>& formats);

/// Adds these formats to every model the doors open; the first door lists them.
void add_formats(Doors& doors, const std::vector<ExportFormat>& formats);

}  // namespace adascale::python
