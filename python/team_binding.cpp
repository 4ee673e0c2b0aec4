#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "adascale/core/error.h"
#include "adascale/tune/team.h"
#include "bindings.h"
#include "callbacks.h"

namespace adascale::python {
namespace {

/// Adds by a Python function of tensors that returns what went wrong, or None.
class PythonTeam : public Team {
 public:
  PythonTeam(int64_t rank, int64_t size, const py::object& add) : Team(rank, size), add_(share(add)) {}
  void add(const std::vector<at::Tensor>& tensors) override {
    const py::gil_scoped_acquire gil;
    const py::object said = (*add_)(tensors);
    ADA_CHECK(said.is_none(), "{}", said.cast<std::string>());
  }

 private:
  std::shared_ptr<py::object> add_;
};

}  // namespace

void bind_team(py::module_& module) {
  module.def("has_team", [] { return present_team()->size() > 1; });
  module.def(
      "set_team",
      [](int64_t rank, int64_t size, const py::object& add) {
        set_team(size == 1 ? nullptr : std::make_shared<PythonTeam>(rank, size, add));
      },
      py::arg("rank"), py::arg("size"), py::arg("add"));
}

}  // namespace adascale::python
