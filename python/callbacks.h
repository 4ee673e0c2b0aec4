#pragma once
#include <torch/csrc/utils/pybind.h>

#include "adascale/core/progress.h"

namespace adascale::python {

/// Progress for work that runs without the GIL: passes each event to `callback(stage, step, total, loss)`,
/// None for no bar. Either way a signal that Python holds back, Ctrl-C above all, ends the work as its Python
/// exception.
ProgressSink progress_to(const py::object& callback);

/// Warnings and notes of the library go to `callback(line)` from now on.
void log_to(const py::function& callback);

/// Errors of the library and of libtorch become `adascale.Error`, one line each.
void translate_errors();

}  // namespace adascale::python
