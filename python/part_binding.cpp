#include <pybind11/stl.h>

#include "adascale/core/error.h"
#include "adascale/core/passes.h"
#include "adascale/formats/encodings/load.h"
#include "adascale/formats/format.h"
#include "adascale/graph/tensor_version.h"
#include "adascale/io/pt2.h"
#include "adascale/tune/live_inputs.h"
#include "adascale/tune/module_runs.h"
#include "adascale/tune/training_plan.h"
#include "bindings.h"
#include "callbacks.h"
#include "keywords.h"
#include "live_model.h"
#include "values.h"

// Models in parts: Python runs them and catches inputs, all else is C++.
namespace adascale::python {
namespace {

using Parts = std::vector<std::pair<QuantizationSimModel*, std::string>>;

std::vector<SimPart> to_parts(const Parts& parts) {
  std::vector<SimPart> sims;
  for (const auto& [sim, path] : parts) sims.push_back({*sim, path});
  return sims;
}

std::unique_ptr<PartedModel> make_model(const Parts& parts, const std::string& refusal,
                                        const Notes& not_captured, const std::vector<PlacedTensor>& places) {
  return std::make_unique<PartedModel>(
      make_parted_model(to_parts(parts), refusal, to_left_out(not_captured), places));
}

std::vector<size_t> pick(const std::vector<std::tuple<std::string, std::string, int64_t>>& calls,
                         const std::vector<std::string>& patterns) {
  std::vector<RecordedCall> recorded;
  for (const auto& [path, kind, layers] : calls) recorded.push_back({path, kind, layers});
  return pick_modules(recorded, patterns);
}

AdaScaleReport train_parts(const PartedModel& model, const py::object& live, size_t batches,
                           AdaScaleOptions options, const py::object& progress) {
  options.progress = progress_to(progress);
  const LiveModel live_model = to_live_model(live, batches, model);
  const py::gil_scoped_release no_gil;
  check_outside_unchanged(model);
  check_before_data(model, options);
  const WatchPasses watch(as_stages(options.progress, /*passing=*/true));
  LiveInputs inputs(model, live_model);
  TrainingPlan plan = plan_training(model, inputs.sizes(), options);
  plan.data = inputs.digest();
  plan.data_is_rounded = true;
  return train(model, plan, [&](size_t part, ActivationStore& store) { return inputs.reach(part, store); });
}

std::vector<std::string> export_to(const PartedModel& model,
                                   const std::vector<std::pair<std::string, at::Tensor>>& state,
                                   const std::string& folder, const std::string& prefix,
                                   const std::vector<std::string>& formats,
                                   const std::string& encoding_version) {
  const py::gil_scoped_release no_gil;
  const ModelToWrite written(model, [tensors = to_named(state)] { return tensors; });
  return export_model(written, folder, prefix, formats, {.encoding_version = encoding_version});
}

std::vector<std::string> load_into(const Parts& parts, const std::string& text, const std::string& origin,
                                   bool strict, bool partial, bool allow_overwrite,
                                   const std::map<std::string, std::string>& names) {
  return load_encodings(to_parts(parts), text, origin, {strict, partial, allow_overwrite, names});
}

/// Of a captured module, before it is simulated.
std::string difference(const std::string& graph, std::unordered_map<std::string, at::Tensor> tensors,
                       const py::list& inputs, const py::list& live) {
  const Inputs values = to_values(inputs);
  const Outputs expected = to_values(live);
  const py::gil_scoped_release no_gil;
  return difference_to_live(parse_program(graph, std::move(tensors)), values, expected);
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

}  // namespace

void bind_parts(py::module_& module) {
  using Release = py::call_guard<py::gil_scoped_release>;
  module.def("encodings_of", &encodings_of, py::arg("sim"));
  module.def("pick_modules", &pick, py::arg("calls"), py::arg("patterns"), Release());
  module.def("difference_to_live", &difference, py::arg("graph"), py::arg("tensors"), py::arg("inputs"),
             py::arg("live"));
  module.def(
      "check_device_of_parts",
      [](const std::string& asked, const std::string& device) {
        check_device_of_parts(c10::Device(asked), c10::Device(device));
      },
      py::arg("asked"), py::arg("device"));
  module.def("load_encodings", &load_into, py::arg("parts"), py::arg("text"), py::arg("origin"),
             py::arg("strict"), py::arg("partial"), py::arg("allow_overwrite"), py::arg("names"), Release());
  py::class_<LiveFlow>(module, "LiveFlow")
      .def(
          "enter",
          [](LiveFlow& flow, size_t part, const py::list& inputs) { flow.enter(part, to_values(inputs)); },
          py::arg("part"), py::arg("inputs"))
      .def(
          "leave",
          [](LiveFlow& flow, size_t part, const py::list& outputs) { flow.leave(part, to_values(outputs)); },
          py::arg("part"), py::arg("outputs"));
  py::class_<PlacedTensor>(module, "PlacedTensor")
      .def(py::init([](const std::string& name, const at::Tensor& tensor, bool is_parameter, uint64_t owner) {
             return PlacedTensor{name, tensor, is_parameter, owner, version_of(tensor)};
           }),
           py::arg("name"), py::arg("tensor"), py::arg("is_parameter"), py::arg("owner"));
  // The model refers to the simulations in the list of its parts.
  py::class_<PartedModel>(module, "PartedModel")
      .def(py::init(&make_model), py::arg("parts"), py::arg("refusal"), py::arg("not_captured"),
           py::arg("places"), py::keep_alive<1, 2>())
      .def("check_patterns", &check_patterns, py::arg("patterns"), Release())
      .def("check_unchanged", &check_outside_unchanged, Release())
      .def("begin_calibration", &begin_calibration, Release())
      .def(
          "end_calibration", [](const PartedModel& model) { end_calibration(model); }, Release())
      .def("abort_calibration", &abort_calibration, Release())
      .def("apply_adascale", &train_parts, py::arg("live"), py::arg("batches"), py::arg("options"),
           py::arg("progress"))
      .def("describe", &describe_parts, Release())
      .def("export", &export_to, py::arg("state"), py::arg("folder"), py::arg("prefix"), py::arg("formats"),
           py::arg("encoding_version"));
}

}  // namespace adascale::python
