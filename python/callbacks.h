#pragma once
#include <torch/csrc/utils/pybind.h>

#include <memory>

#include "adascale/core/progress.h"

namespace adascale::python {

/// A Python object that may be dropped by a thread without the GIL.
std::shared_ptr<py::object> share(const py::object& object);

/// Progress for work that runs without the GIL: passes each event to
/// `callback(stage, step, total, loss)`, None for no bar. In both cases a pending Python signal,
/// mostly Ctrl-C, ends the work as its Python exception.
ProgressSink progress_to(const py::object& callback);

/// From now on the library's warnings and notes go to `callback(line)`.
void log_to(const py::function& callback);

/// From now on Ctrl-C ends long work with KeyboardInterrupt, between two batches or weights.
void raise_on_interrupt();

/// Errors of the library and of libtorch become `adascale.Error`, one line each.
void translate_errors();

/// Runs `work` with the GIL, from any thread; its adascale.Error becomes an Error of the library.
template <class Work>
auto in_python(const Work& work) {
  const py::gil_scoped_acquire gil;
  try {
    return work();
  } catch (py::error_already_set& error) {  // boundary: the package's one exception is ours too
    if (!error.matches(py::module_::import("adascale.errors").attr("Error"))) throw;
    fail("{}", std::string(py::str(error.value())));
  }
}

}  // namespace adascale::python
