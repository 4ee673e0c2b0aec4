#include "callbacks.h"

#include <c10/util/Exception.h>
#include <pybind11/stl.h>

#include "adascale/core/error.h"
#include "adascale/core/interrupt.h"

namespace adascale::python {
namespace {

void raise_in_python(const std::string& message) {
  const py::object error = py::module_::import("adascale.errors").attr("Error");
  PyErr_SetString(error.ptr(), message.c_str());
}

}  // namespace

std::shared_ptr<py::object> share(const py::object& object) {
  return {new py::object(object), [](py::object* held) {
            const py::gil_scoped_acquire gil;
            delete held;
          }};
}

ProgressSink progress_to(const py::object& callback) {
  return [shared = share(callback)](const ProgressEvent& event) {
    const py::gil_scoped_acquire gil;
    if (shared->is_none()) return;
    (*shared)(event.stage, event.pass, event.step, event.total, event.loss, event.seconds_left,
              event.ends_stage, event.is_passing);
  };
}

void log_to(const py::function& callback) {
  // Never freed: the sink outlives the interpreter.
  auto* held = new py::function(callback);
  set_log_sink([held](const std::string& line) {
    const py::gil_scoped_acquire gil;
    (*held)(line);
  });
}

void raise_on_interrupt() {
  set_interrupt_check([] {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

void translate_errors() {
  py::register_local_exception_translator([](std::exception_ptr pending) {
    try {
      std::rethrow_exception(pending);
    } catch (const Error& error) {
      raise_in_python(error.what());
    } catch (const c10::Error& error) {
      raise_in_python(first_line(error.what_without_backtrace()));
    }
  });
}

}  // namespace adascale::python
