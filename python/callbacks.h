#pragma once
#include <torch/csrc/utils/pybind.h>

#include <memory>

#include "adascale/core/progress.h"

namespace adascale::python {

/// A Python object that may be dropped by a thread without the GIL.
std::shared_ptr<py::object> share(const py::object& object);

/// Progress for work that runs without the GIL: passes each event to `callback(stage, step, total, loss)`,
/// None for no bar. Either way a signal that Python holds back, Ctrl-C above all, ends the work as its Python
/// exception.
ProgressSink progress_to(const py::object& callback);

/// Warnings and notes of the library go to `callback(line)` from now on.
void log_to(const py::function& callback);

/// Errors of the library and of libtorch become `adascale.Error`, one line each.
void translate_errors();

}  // namespace adascale::python
