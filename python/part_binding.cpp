#include <pybind11/stl.h>

#include <algorithm>

#include "adascale/formats/saved_state.h"
#include "adascale/formats/version.h"
#include "adascale/io/safetensors.h"
#include "adascale/io/staged_files.h"
#include "adascale/tune/trained_layers.h"
#include "bindings.h"

// Functions for Python to run a model that is simulated in parts, and to write its files.
namespace adascale::python {
namespace {

/// Parameter names to (values on the grid, the grid as text).
py::dict weights_on_grid(const QuantizationSimModel& sim) {
  py::dict weights;
  for (const SavedTensor& saved : saved_state(sim)) {
    if (saved.weight == kNone) continue;
    const py::tuple row = py::make_tuple(values_of(sim, saved), to_string(sim.weights()[saved.weight].grid));
    for (const std::string& name : saved.names) weights[py::str(name)] = row;
  }
  return weights;
}

/// Parameter names to (codes, scale of the codes, offset), of folded weights; of others
/// those of round-to-nearest.
py::dict encodings_of(const QuantizationSimModel& sim) {
  py::dict encodings;
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const Encoding encoding = sim.weight_encoding(i);
    encodings[py::str(encoding.name)] = py::make_tuple(encoding.codes, encoding.scale, encoding.offset);
  }
  return encodings;
}

void write_tensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) named.push_back({name, tensor.detach().cpu().contiguous()});
  write_safetensors(path, named, metadata);
}

int64_t count_trainable(const QuantizationSimModel& sim) {
  const auto& weights = sim.weights();
  return std::count_if(weights.begin(), weights.end(), is_trainable);
}

size_t count_activations(const QuantizationSimModel& sim) {
  return sim.activations().size();
}

}  // namespace

void bind_parts(py::module_& module) {
  using Release = py::call_guard<py::gil_scoped_release>;
  module.def("weights_on_grid", &weights_on_grid, py::arg("sim"));
  module.def("encodings_of", &encodings_of, py::arg("sim"));
  module.def("count_trainable", &count_trainable, py::arg("sim"));
  module.def("count_activations", &count_activations, py::arg("sim"));
  module.def("is_calibrated", &QuantizationSimModel::is_calibrated);
  module.def("was_trained", [](const QuantizationSimModel& sim) { return !sim.training.empty(); });
  module.def("write_safetensors", &write_tensors, py::arg("path"), py::arg("tensors"), py::arg("metadata"),
             Release());
  py::class_<StagedFiles>(module, "StagedFiles")
      .def(py::init<std::string>(), py::arg("folder"))
      .def("path", &StagedFiles::path, py::arg("name"))
      .def("commit", &StagedFiles::commit, Release());
}

}  // namespace adascale::python
