#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/formats/format.h"

namespace adascale::python {

using Prepare = std::function<PreparedFormat(const ExportRequest&)>;

/// `prepare` of a Python object: a format (`adascale.formats.Format`) or a door's writer. It gets the
/// simulated model as `adascale.formats.quantized.QuantizedModel`. Needs the GIL; what it gives does not.
Prepare to_prepare(const py::object& object);

/// Adds Python's rows to the table of formats.
void add_formats(const std::vector<py::object>& formats);

}  // namespace adascale::python
