#include <pybind11/stl.h>

#include "adascale/adascale.h"
#include "adascale/device/devices.h"
#include "adascale/sim/calibration_steps.h"
#include "bindings.h"
#include "callbacks.h"
#include "keywords.h"
#include "values.h"

namespace adascale::python {
namespace {

SimOptions read_sim_options(const std::string& scheme, const std::string& layer_config, bool in_place,
                            const py::dict& keywords) {
  SimOptions options;
  KeywordReader reader("QuantizationSimModel", keywords,
                       {"quant_scheme", "in_place", "blocks", "layer_config"});
  visit_sim_options(reader, options);
  reader.check_all_known();
  reader.objections().raise();
  options.quant_scheme = quant_scheme_from(scheme);
  options.layer_config = parse_layer_config(layer_config);
  options.in_place = in_place;
  if (options.device != "auto") find_device(options.device);
  return options;
}

std::unique_ptr<QuantizationSimModel> make_sim(const std::string& graph,
                                               std::unordered_map<std::string, at::Tensor> tensors,
                                               SimOptions options, bool is_part) {
  options.is_part = is_part;
  const py::gil_scoped_release no_gil;
  return std::make_unique<QuantizationSimModel>(parse_program(graph, std::move(tensors)), std::move(options));
}

template <class Run>
py::list run(const py::list& inputs, const Run& run_values) {
  const Inputs values = to_values(inputs);
  Outputs outputs;
  {
    const py::gil_scoped_release no_gil;
    outputs = run_values(values);
  }
  return to_python(outputs);
}

py::list call(QuantizationSimModel& sim, const py::list& inputs) {
  return run(inputs, [&](const Inputs& values) { return sim.call(values); });
}

py::list call_weights_only(const QuantizationSimModel& sim, const py::list& inputs) {
  return run(inputs, [&](const Inputs& values) { return sim.run(values, SimMode::kWeightsOnly); });
}

std::vector<std::string> state_names(const QuantizationSimModel& sim) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : sim.program().state) names.push_back(name);
  return names;
}

AdaScaleReport train(QuantizationSimModel& sim, const std::vector<py::list>& batches, AdaScaleOptions options,
                     const py::object& progress) {
  options.progress = progress_to(progress);
  const std::vector<Inputs> inputs = to_batches(batches);
  const py::gil_scoped_release no_gil;
  return apply_adascale(sim, inputs, options);
}

}  // namespace

void bind_sim(py::module_& module) {
  // Keywords, read and checked once: before a capture or a data loader, which may take long.
  py::class_<SimOptions>(module, "SimOptions")
      .def(py::init(&read_sim_options), py::arg("quant_scheme"), py::arg("layer_config"), py::arg("in_place"),
           py::arg("options"));
  py::class_<AdaScaleOptions>(module, "AdaScaleOptions")
      .def(py::init(&read_adascale_options), py::arg("options"));
  using Release = py::call_guard<py::gil_scoped_release>;
  py::class_<QuantizationSimModel>(module, "Sim")
      .def(py::init(&make_sim), py::arg("graph"), py::arg("tensors"), py::arg("options"),
           py::arg("is_part") = false)
      .def_property_readonly("device",
                             [](const QuantizationSimModel& sim) { return sim.program().device.str(); })
      .def("call", &call, py::arg("inputs"))
      .def("call_weights_only", &call_weights_only, py::arg("inputs"))
      .def("apply_adascale", &train, py::arg("batches"), py::arg("options"), py::arg("progress"))
      .def(
          "begin_calibration", [](QuantizationSimModel& sim) { CalibrationSteps(sim).begin(); }, Release())
      .def(
          "end_calibration", [](QuantizationSimModel& sim) { CalibrationSteps(sim).end(); }, Release())
      .def(
          "abort_calibration", [](QuantizationSimModel& sim) { CalibrationSteps(sim).abort(); }, Release())
      .def("state", &QuantizationSimModel::state, py::arg("name"), Release())
      .def("state_names", &state_names, Release())
      .def("describe", &QuantizationSimModel::describe, Release())
      .def(
          "describe_calls",
          [](const QuantizationSimModel& sim) {
            return describe_calls(sim.program(), find_blocks(sim.program()));
          },
          Release())
      .def(
          "export",
          [](const QuantizationSimModel& sim, const std::string& folder, const std::string& prefix,
             const std::vector<std::string>& formats, const std::string& encoding_version) {
            return export_model(sim, folder, prefix, formats, {.encoding_version = encoding_version});
          },
          py::arg("folder"), py::arg("prefix"), py::arg("formats"), py::arg("encoding_version"), Release());
}

}  // namespace adascale::python
