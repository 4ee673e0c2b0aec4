#pragma once
#include <torch/csrc/utils/pybind.h>

#include "cli/door.h"

namespace adascale::python {

/// A format written in Python that any model has (`adascale.formats.ProgramFormat`): it is given the program,
/// the grids and, once there are any, the encodings. Needs the GIL.
ExportFormat to_program_format(const py::object& format);
std::vector<ExportFormat> to_program_formats(const std::vector<py::object>& formats);

/// What the door opens has these formats too; the first door lists them.
void add_formats(Doors& doors, const std::vector<ExportFormat>& formats);

}  // namespace adascale::python
