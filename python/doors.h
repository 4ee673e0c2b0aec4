#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/run/door.h"

namespace adascale::python {

/// A door written in Python (`adascale.doors.door.Door`). Its methods run with the GIL, from any
/// thread; its adascale.Error becomes an Error of the library. Needs the GIL.
Door to_door(const py::object& door);

}  // namespace adascale::python
