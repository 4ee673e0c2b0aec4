#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "adascale/device/devices.h"
#include "adascale/device/memory.h"
#include "adascale/device/traits.h"
#include "adascale/kernels/kernel_switch.h"
#include "adascale/tune/noise.h"
#include "bindings.h"

// Python's access to devices; traits, kernels and noise are for tests.
namespace adascale::python {
namespace {

void set_traits_of(const std::string& device, bool multiplies_bfloat16, bool fuses_attention, bool has_tf32,
                   bool runs_ahead, bool pins_memory, bool compiles_kernels) {
  set_traits(c10::Device(device).type(),
             {multiplies_bfloat16, fuses_attention, has_tf32, runs_ahead, pins_memory, compiles_kernels});
}

}  // namespace

void bind_device(py::module_& module) {
  module.def("present_devices", &present_devices);
  module.def("preferred_device", [] { return preferred_device().str(); });
  module.def(
      "free_device_bytes", [](const std::string& device) { return free_device_bytes(find_device(device)); },
      py::arg("device"));
  module.def("set_traits", &set_traits_of, py::arg("device"), py::kw_only(),
             py::arg("multiplies_bfloat16") = false, py::arg("fuses_attention") = false,
             py::arg("has_tf32") = false, py::arg("runs_ahead") = false, py::arg("pins_memory") = false,
             py::arg("compiles_kernels") = false);
  module.def("switch_kernels", &switch_kernels, py::arg("on"));
  module.def(
      "uniform_noise",
      [](const std::vector<int64_t>& sizes, uint64_t seed, const std::string& device) {
        return uniform_noise(sizes, seed, c10::Device(device));
      },
      py::arg("sizes"), py::arg("seed"), py::arg("device"));
}

}  // namespace adascale::python
