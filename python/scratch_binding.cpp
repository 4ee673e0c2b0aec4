#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "adascale/io/scratch_file.h"
#include "bindings.h"

// Temporary files for weights that Python makes while it opens a model.
namespace adascale::python {

void bind_scratch(py::module_& module) {
  module.def("scratch_room", [] {
    const ScratchRoom room = scratch_room();
    return std::pair(room.folder, room.bytes);
  });
  py::class_<ScratchFile, std::shared_ptr<ScratchFile>>(module, "ScratchFile")
      .def(py::init(&ScratchFile::open))
      .def("copy", &ScratchFile::copy, py::arg("tensor"));
}

}  // namespace adascale::python
